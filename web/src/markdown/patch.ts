/** Make a node like another one by as few changes as will do: what is selected, focused or scrolled stays so. Returns what stands there. */
export function patch(old: ChildNode, now: ChildNode): ChildNode {
  if (old instanceof Text && now instanceof Text) {
    patchText(old, now.data);
  } else if (old instanceof Element && now instanceof Element && old.nodeName === now.nodeName) {
    patchAttributes(old, now);
    patchChildren(old, now);
  } else {
    old.replaceWith(now);
    return now;
  }
  return old;
}

function patchChildren(old: Element, now: Element): void {
  const there = [...old.childNodes];
  const wanted = [...now.childNodes];
  for (const [place, node] of wanted.entries()) {
    const one = there[place];
    if (one) patch(one, node);
    else old.append(node);
  }
  for (const node of there.slice(wanted.length)) node.remove();
}

/** A text that only grows keeps the selection inside of it. */
function patchText(old: Text, text: string): void {
  if (text === old.data) return;
  if (text.startsWith(old.data)) old.appendData(text.slice(old.data.length));
  else old.data = text;
}

function patchAttributes(old: Element, now: Element): void {
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}
