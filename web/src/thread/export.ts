/** A conversation as a file, to take it along: Markdown for people, JSON for `POST /conversations/import`. */
import { readLimits, readMessages } from '../client/calls';
import { counted } from '../composer/bytes';
import { send } from '../client/post';
import { isReply, type Conversation, type Message, type Part } from '../client/protocol';
import { endingOf, pretty } from './told';

const TITLES = { system: 'Instructions', user: 'You', assistant: 'Reply', tool: 'Tool' };

/** Write a branch as Markdown: who said what, and how replies ended. */
export function markdownOf(conversation: Conversation, branch: readonly Message[]): string {
  const title = conversation.title.replace(/\s+/g, ' ').trim();
  return [`# ${title}`, ...branch.map(messageOf)].join('\n\n') + '\n';
}

function messageOf(message: Message): string {
  const by = isReply(message) ? ` by ${message.responder}` : '';
  const ending = isReply(message) ? endingOf(message) || (message.ended_at ? '' : 'Not ended yet.') : '';
  const parts = message.parts.map(partOf).filter((text) => text !== '');
  return [`## ${TITLES[message.role]}${by}`, ...parts, ...(ending ? [`*${ending}*`] : [])].join('\n\n');
}

function partOf(part: Part): string {
  switch (part.type) {
    case 'text':
      return part.text.trim();
    case 'reasoning':
      return `> Thoughts:\n>\n${part.text.trim().replace(/^/gm, '> ')}`;
    case 'tool_call':
      return `Calls ${part.name}:\n\n${fenced(pretty(part.arguments), 'json')}`;
    case 'tool_result':
      return `Result:\n\n${fenced(pretty(part.result))}`;
    case 'image':
      return `Image: ${part.url}`;
  }
}

/** A fence that nothing in the text can end. */
function fenced(text: string, language = ''): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

/** A name that every file system takes, made of a title. */
export function fileName(title: string, ending: string): string {
  const words = title.normalize().replace(/[\p{C}\p{Z}\s<>:"/\\|?*.]+/gu, ' ').trim();
  const short = Array.from(words).slice(0, 60).join('').trim();
  return `${/^(con|prn|aux|nul|com\d|lpt\d)$/i.test(short) ? 'conversation' : short || 'conversation'}.${ending}`;
}

/** Read a conversation with all its branches, oldest first: what an import takes. */
export async function readWhole(conversation: Conversation): Promise<{ conversation: Conversation; messages: Message[] }> {
  const pages: Message[][] = [];
  let before: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof readMessages>> = await readMessages(conversation.id, before);
    pages.push(page.messages);
    before = page.next;
  } while (before !== null);
  return { conversation, messages: pages.reverse().flat() };
}

/** Hand a text to the browser as a file. */
export function download(name: string, type: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

/** Take an exported file in; answers the id of the new conversation. Throws an `Error` with a sentence for people. */
export async function importFile(file: File): Promise<string> {
  const limits = await readLimits().catch((): Record<string, number> => ({})); // then the server refuses it
  const most = limits['max_import_bytes'] ?? Infinity;
  if (file.size > most) throw new Error(`This file is too large: a conversation to be imported holds ${counted(most)} at most.`);
  let exported: unknown;
  try {
    exported = JSON.parse(await file.text());
  } catch {
    throw new Error('This file is not JSON.');
  }
  if (typeof exported !== 'object' || exported === null) throw new Error('This file holds no conversation.');
  const { conversation } = (await send('POST', '/conversations/import', exported)) as { conversation: Conversation };
  return conversation.id;
}
