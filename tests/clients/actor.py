"""A responder that does what the prompt says in a word; with any other it tells what it was given."""

import asyncio
import json

from responders.base import Finish, Image, Reasoning, ResponderError, ToolCall, ToolResult, Usage


async def actor(prompt):
    """Act."""
    if results := [part.result for part in prompt.messages[-1].parts if isinstance(part, ToolResult)]:
        yield f"It is {' and '.join(results)}."
        return
    match prompt.text:
        case "call":
            yield "One moment."
            for tool in prompt.tools:
                yield ToolCall(f"call_{tool.name}", tool.name, '{"city": "Oslo"}')
            yield Finish("tool_calls")
        case "run":
            yield ToolCall("mine", "look", "{}")
            yield ToolResult("mine", "grey")
            yield "It is grey."
        case "think":
            yield Reasoning("Hm")
            yield Reasoning(", yes.")
            yield "Yes."
            yield Usage(3, 4, 7)
        case "fail":
            yield "Half "
            raise ResponderError("The model is overloaded.")
        case "hang":
            yield "Begun."
            await asyncio.Event().wait()
        case "count":
            for number in range(20):
                yield f"{number} "
        case _:
            images = [part.url for turn in prompt.messages for part in turn.parts if isinstance(part, Image)]
            told = [[turn.role, turn.text] for turn in prompt.messages]
            tools = [[tool.name, tool.description, dict(tool.parameters)] for tool in prompt.tools]
            yield json.dumps({"told": told, "images": images, "tools": tools, "choice": prompt.tool_choice})
