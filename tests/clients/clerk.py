"""A responder that uses the client's tools, and says what else it was given."""

from responders.base import Image, Reasoning, ResponderError, ToolCall


async def clerk(prompt):
    """Calls the first tool that is offered, tells what it gave, and thinks aloud."""
    last = prompt.messages[-1]
    if prompt.text == "Refuse":
        raise ResponderError("Not today.")
    yield Reasoning("Hm. ")
    if last.role == "tool":
        yield f"It is {last.parts[0].result}."
    elif prompt.tools:
        yield ToolCall("call-1", prompt.tools[0].name, '{"zone": "UTC"}')
    else:
        images = [part.url for part in last.parts if isinstance(part, Image)]
        yield f"{prompt.system}|{prompt.text}|{images}|{prompt.max_tokens}"
