/** A server whose other end is the test: logs, and connections on which many streams are sent, as `GET /streams` does. */
import { reduceList, UNKNOWN } from '../list';
import type { Conversation, LogEvent } from '../protocol';
import { EMPTY, reduce } from '../reduce';
import type { StreamName } from '../held';

export interface Event {
  type: string;
  data: string;
  id: string | null;
}

/** A connection, as the server sees it. */
export interface Peer {
  readonly url: string;
  send(event: Event): void;
  /** End it, cleanly or not: an EventSource does not tell the difference. */
  cut(): void;
}

interface Log {
  epoch: string;
  events: LogEvent[];
  deleted: boolean;
}

export const id = (epoch: string, seq: number) => `${epoch}-${String(seq).padStart(12, '0')}`;
const at = '2026-01-02T03:04:05Z';
const talk = (name: string): Conversation => ({
  id: name, title: name, head: null, running: [], created_at: at, updated_at: at,
});

export class Server {
  up = true;
  /** Instead of everything else, a new connection is told this. */
  answer: object | null = null;
  joins = 0;
  opened: string[] = [];
  readonly peers = new Map<Peer, Map<StreamName, string>>();
  readonly said: string[] = [];
  list = UNKNOWN.conversations;
  #logs = new Map<string, Log>();
  #clock = 0;

  log(name: string): Log {
    const log = this.#logs.get(name) ?? { epoch: `epoch${this.#logs.size}`, events: [], deleted: false };
    this.#logs.set(name, log);
    return log;
  }

  /** Where a cursor stands that has seen everything. */
  head(name: string): string {
    const { epoch, events } = this.log(name);
    return id(epoch, name === 'broadcast' ? this.said.length : events.length);
  }

  /** What a conversation's log adds up to. */
  state(name: string) {
    const begun = { ...EMPTY, conversation: talk(name.split('/')[1] ?? '') };
    return this.log(name).events.reduce<ReturnType<typeof reduce>>((state, event) => reduce(state, event), begun);
  }

  /** Begin a reply in a conversation, or go on with it. */
  write(name: StreamName, text: string): void {
    if (this.log(name).events.length === 0) {
      this.append(name, {
        type: 'reply.created',
        reply: {
          id: name, role: 'assistant', parent: null, parts: [], text: '', status: 'accepted', created_at: at, responder: 'r',
          started_at: null, first_token_at: null, ended_at: null, finish_reason: null, usage: null, error: null,
        },
      });
    }
    this.append(name, { type: 'reply.delta', reply_id: name, part: 0, text });
  }

  end(name: StreamName, text = this.text(name)): void {
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
    const over = { status: 'completed', text_sha256: '', finish_reason: 'stop', usage, at } as const;
    this.append(name, { type: 'reply.ended', reply_id: name, text, ...over });
  }

  text(name: string): string {
    return (this.state(name).messages[0] as { text?: string } | undefined)?.text ?? '';
  }

  append(name: StreamName, event: LogEvent): void {
    this.log(name).events.push(event);
    this.#toAll(name, event, this.head(name));
    this.#changed(name);
  }

  say(text: string): void {
    this.said.push(text);
    for (const [peer, watched] of this.peers) if (watched.has('broadcast')) this.#text(peer, text, this.head('broadcast'));
  }

  delete(name: StreamName): void {
    this.append(name, { type: 'conversation.deleted' });
    this.log(name).deleted = true;
    this.list = this.list.filter((one) => `conversation/${one.id}` !== name);
    this.#control('conversations', { type: 'conversation.deleted', id: name.split('/')[1] });
    this.#control(name, { type: 'bye', reason: 'deleted' });
    for (const watched of this.peers.values()) watched.delete(name);
  }

  /** End all connections, with a word for each of their streams, or without. */
  cut(bye?: object): void {
    for (const [peer, watched] of [...this.peers]) {
      for (const name of bye ? watched.keys() : []) this.#send(peer, { type: 'bye', ...bye, stream: name });
      this.peers.delete(peer);
      peer.cut();
    }
  }

  ping(): void {
    for (const [peer, watched] of this.peers) {
      for (const name of watched.keys()) this.#send(peer, { type: 'ping', cursor: this.#cursor(name), stream: name });
    }
  }

  accept(peer: Peer): void {
    this.opened.push(peer.url);
    if (!this.up) return peer.cut();
    const watches = new URL(peer.url, 'http://tape').searchParams.getAll('watch').map((watch) => watch.split('@'));
    if (this.answer) {
      for (const [name] of watches) this.#send(peer, { ...this.answer, stream: name });
      return peer.cut();
    }
    this.peers.set(peer, new Map(watches as [StreamName, string][]));
    for (const [name, cursor] of watches as [StreamName, string][]) this.#open(peer, name, cursor || null);
  }

  /** Tell of a newcomer. */
  join(): void {
    for (const [peer, watched] of this.peers) if (watched.has('broadcast')) this.#text(peer, 'A new user joined!', null);
  }

  /** Send a conversation's newest state over its stream, as to somebody who reads too slowly. */
  snapshot(name: StreamName): void {
    for (const [peer, watched] of this.peers) if (watched.has(name)) this.#snapshot(peer, name);
  }

  raw(name: StreamName, event: Event): void {
    for (const [peer, watched] of this.peers) if (watched.has(name)) peer.send(event);
  }

  #open(peer: Peer, name: StreamName, cursor: string | null): void {
    if (name === 'conversations') {
      this.#hello(peer, name, null, null, false, null);
      return this.#send(peer, { type: 'snapshot', conversations: [...this.list], stream: name });
    }
    if (name.includes('/') && (this.log(name).deleted || this.log(name).events.length === 0)) {
      this.#hello(peer, name, null, null, false, null);
      this.#send(peer, { type: 'bye', reason: 'deleted', stream: name });
      return void this.peers.get(peer)?.delete(name);
    }
    const { epoch, events } = this.log(name);
    const head = this.head(name);
    const reason = !cursor ? null : cursor.split('-')[0] !== epoch ? 'epoch' : cursor > head ? 'ahead' : null;
    const resumed = cursor !== null && reason === null;
    if (name === 'broadcast' && !cursor) this.joins += 1;
    this.#hello(peer, name, epoch, resumed ? cursor : head, resumed, reason);
    if (name === 'broadcast' && !cursor) this.join();
    if (resumed) {
      const seen = Number(cursor.split('-')[1]);
      if (name === 'broadcast') this.said.slice(seen).forEach((text, i) => this.#text(peer, text, id(epoch, seen + i + 1)));
      else events.slice(seen).forEach((event, i) => this.#send(peer, event, id(epoch, seen + i + 1)));
    } else if (name !== 'broadcast') this.#snapshot(peer, name);
  }

  #snapshot(peer: Peer, name: string): void {
    const { conversation, messages } = this.state(name);
    const cursor = this.head(name);
    this.#send(peer, { type: 'snapshot', conversation, messages, cursor, stream: name }, cursor);
  }

  #hello(peer: Peer, stream: string, epoch: string | null, cursor: string | null, resumed: boolean, reason: string | null) {
    this.#send(peer, { type: 'hello', stream, epoch, cursor, resumed, reason });
  }

  #cursor(name: StreamName): string | null {
    return name === 'conversations' ? null : this.head(name);
  }

  #changed(name: StreamName): void {
    const updated_at = String((this.#clock += 1)).padStart(9, '0');
    const conversation = { ...this.state(name).conversation!, updated_at };
    this.list = reduceList({ conversations: this.list, known: true }, { type: 'conversation.changed', conversation }).conversations;
    this.#control('conversations', { type: 'conversation.changed', conversation });
  }

  #control(name: StreamName, frame: object): void {
    this.#toAll(name, { ...frame, stream: name });
  }

  #toAll(name: StreamName, frame: object, id: string | null = null): void {
    for (const [peer, watched] of this.peers) if (watched.has(name)) this.#send(peer, frame, id);
  }

  #send(peer: Peer, frame: object, id: string | null = null): void {
    peer.send({ type: (frame as { type: string }).type, data: JSON.stringify(frame), id });
  }

  #text(peer: Peer, text: string, id: string | null): void {
    peer.send({ type: 'message', data: text, id });
  }
}
