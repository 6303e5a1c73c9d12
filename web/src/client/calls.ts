/** The calls of the API as functions. What changes something is sent once, however often it has to be tried. */
import { newKey, send as sendTo } from './post';
import type { Asked, Conversation, Message, Reply, Responder } from './protocol';

export interface Question {
  prompt: string;
  /** The message that it follows: by default the newest, null for the root. */
  parent?: string | null;
  responder?: string;
  options?: Record<string, unknown>;
  /** Where the message that it follows is still being written: wait for its end, or stop it. Else it is refused. */
  if_running?: 'queue' | 'interrupt';
  /** Of a new conversation only. */
  system?: string;
  title?: string;
}

export interface Hit extends Conversation {
  match: { message_id: string | null; text: string; ranges: [number, number][] };
}

const at = (id: string) => `/conversations/${encodeURIComponent(id)}`;
const query = (fields: Record<string, string | number | null | undefined>) =>
  new URLSearchParams(Object.entries(fields).flatMap(([name, value]) => (value == null ? [] : [[name, `${value}`]])));

/** The calls of the server at `base`; each throws `Refused`. */
export function callsTo(base: string) {
  const send: typeof sendTo = (method, path, ...more) => sendTo(method, base + path, ...more);

  /** Ask in a conversation, or, without an id, in a new one. */
  const ask = (id: string, question: Question, key = newKey()): Promise<Asked> =>
    send('POST', id ? `${at(id)}/messages` : '/conversations', question, key) as Promise<Asked>;

  const stop = (id: string, reply: string): Promise<{ reply: Reply }> =>
    send('POST', `${at(id)}/replies/${encodeURIComponent(reply)}/stop`, {}) as Promise<{ reply: Reply }>;

  /** Answer the same question anew, beside the old reply. */
  const retry = (id: string, reply: string, how: Pick<Question, 'responder' | 'options'> = {}, key = newKey()): Promise<Asked> =>
    send('POST', `${at(id)}/replies/${encodeURIComponent(reply)}/retry`, how, key) as Promise<Asked>;

  const rename = (id: string, title: string): Promise<{ conversation: Conversation }> =>
    send('PATCH', at(id), { title }) as Promise<{ conversation: Conversation }>;

  /** Delete a conversation; with `keepalive` the request outlives the page. */
  const remove = async (id: string, keepalive = false): Promise<void> =>
    void (await send('DELETE', at(id), undefined, newKey(), keepalive));

  /** Say something to everybody. */
  const say = async (message: string, key = newKey()): Promise<void> =>
    void (await send('POST', '/send-message', { message }, key));

  /** Messages of all branches, whole: a page that is older than `before`, in order of creation. */
  const readMessages = (id: string, before: string | null = null, limit = 100) =>
    send('GET', `${at(id)}/messages?${query({ limit, before })}`) as Promise<{ messages: Message[]; next: string | null }>;

  /** The conversations that were active before those of an earlier page. */
  const readList = (before: string | null = null, limit = 100) =>
    send('GET', `/conversations?${query({ limit, before })}`) as Promise<{ conversations: Conversation[]; next: string | null }>;

  const search = (q: string, before: string | null = null, limit = 50) =>
    send('GET', `/conversations?${query({ q, limit, before })}`) as Promise<{ conversations: Hit[]; next: string | null }>;

  const readResponders = () => send('GET', '/responders') as Promise<Responder[]>;
  const readLimits = () => send('GET', '/limits') as Promise<Record<string, number>>;

  return { ask, stop, retry, rename, remove, say, readMessages, readList, search, readResponders, readLimits };
}

export type Calls = ReturnType<typeof callsTo>;

/** The calls of the server that the page came from. */
export const { ask, stop, retry, rename, remove, say, readMessages, readList, search, readResponders, readLimits } = callsTo('');
