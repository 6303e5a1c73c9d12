/**
 * The browser of the tests: pages of one origin with locks, a channel and a server, and nothing that happens by itself.
 * Whatever a browser does later is a task in a queue; the tests say which queue goes on.
 */
import { vi } from 'vitest';
import type { Browser, Occasion } from '../browser';
import { Server, type Event, type Peer } from './server';

type Task = () => void;
/** Which of these queues goes on; -1 is none. */
type Choose = (queues: string[]) => number;

/** Tasks in queues: those of one queue stay in their order, queues may overtake each other. */
class Tasks {
  readonly #queues = new Map<string, [Page, Task][]>();

  add(queue: string, page: Page, task: Task): void {
    const tasks = this.#queues.get(queue) ?? [];
    this.#queues.set(queue, tasks);
    tasks.push([page, task]);
  }

  /** Run the first task of a queue that `choose` picks; false where there is none. */
  run(choose: Choose): boolean {
    for (const [name, tasks] of this.#queues) {
      while (tasks[0]?.[0].gone) tasks.shift();
      if (tasks.length === 0) this.#queues.delete(name);
    }
    const ready = [...this.#queues].filter(([, [first]]) => !first![0].frozen);
    const tasks = ready[choose(ready.map(([name]) => name))]?.[1];
    if (tasks) tasks.shift()![1]();
    return tasks !== undefined;
  }
}

interface LockRequest {
  page: Page;
  callback: () => unknown;
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
}

/** The locks of an origin. */
class Locks {
  readonly #held = new Map<string, LockRequest>();
  readonly #waiting = new Map<string, LockRequest[]>();

  constructor(private readonly tasks: Tasks) {}

  ask(page: Page, name: string, options: LockOptions, callback: () => unknown): Promise<unknown> {
    const request = { page, callback } as LockRequest;
    const promise = new Promise<unknown>((resolve, reject) => Object.assign(request, { resolve, reject }));
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.set(name, waiting);
    const stop = () => {
      if (!waiting.includes(request)) return;
      waiting.splice(waiting.indexOf(request), 1);
      request.reject(new DOMException('aborted', 'AbortError'));
    };
    if (options.steal) {
      const held = this.#held.get(name);
      this.#held.delete(name);
      if (held) this.tasks.add(`locks ${held.page.name}`, held.page, () => held.reject(new DOMException('', 'AbortError')));
      waiting.unshift(request);
    } else waiting.push(request);
    if (options.signal?.aborted) stop();
    options.signal?.addEventListener('abort', stop);
    this.#grant(name);
    return promise;
  }

  get held(): { name: string; clientId: string }[] {
    return [...this.#held].map(([name, { page }]) => ({ name, clientId: page.name }));
  }

  /** A page is gone, with all that it holds and waits for. */
  drop(page: Page): void {
    for (const waiting of this.#waiting.values()) {
      for (const request of waiting.filter((one) => one.page === page)) waiting.splice(waiting.indexOf(request), 1);
    }
    for (const [name, held] of [...this.#held]) if (held.page === page) this.#free(name, held);
  }

  #grant(name: string): void {
    const request = this.#waiting.get(name)?.[0];
    if (!request || this.#held.has(name)) return;
    this.#waiting.get(name)!.shift();
    this.#held.set(name, request);
    this.tasks.add(`locks ${request.page.name}`, request.page, () => {
      void Promise.resolve(request.callback()).then((value) => {
        this.#free(name, request);
        request.resolve(value);
      });
    });
  }

  #free(name: string, request: LockRequest): void {
    if (this.#held.get(name) !== request) return;
    this.#held.delete(name);
    this.#grant(name);
  }
}

class Channel {
  onmessage: ((event: MessageEvent) => void) | null = null;

  constructor(
    private readonly page: Page,
    private readonly others: Set<Channel>,
    private readonly tasks: Tasks,
  ) {
    others.add(this);
  }

  postMessage(word: unknown): void {
    if (this.page.gone || this.page.frozen) return; // the timers of the tests run all the same
    const data: unknown = structuredClone(word);
    for (const other of this.others) {
      if (other === this) continue;
      const hear = () => this.others.has(other) && other.onmessage?.({ data: structuredClone(data) } as MessageEvent);
      this.tasks.add(`words ${this.page.name} ${other.page.name}`, other.page, hear);
    }
  }

  close(): void {
    this.others.delete(this);
  }
}

/** An EventSource whose other end is the test's server. */
class Source extends EventTarget implements Peer {
  isOpen = true;
  #lastId = '';

  constructor(
    readonly url: string,
    private readonly page: Page,
    private readonly origin: Origin,
    private readonly name: string,
  ) {
    super();
    origin.tasks.add(name, page, () => this.isOpen && origin.server.accept(this));
  }

  send({ type, data, id }: Event): void {
    this.#later(() => {
      this.#lastId = id ?? this.#lastId;
      this.dispatchEvent(new MessageEvent(type, { data, lastEventId: this.#lastId }));
    });
  }

  cut(): void {
    this.#later(() => this.dispatchEvent(new globalThis.Event('error')));
  }

  close(): void {
    this.isOpen = false;
    this.origin.server.peers.delete(this);
  }

  #later(task: Task): void {
    this.origin.tasks.add(this.name, this.page, () => this.isOpen && task());
  }
}

/** A page of the origin: what the client is given instead of a browser. */
export class Page implements Browser {
  frozen = false;
  gone = false;
  visible = true;
  online = true;
  readonly sources: Source[] = [];
  #hear: (occasion: Occasion) => void = () => {};

  constructor(
    readonly name: string,
    private readonly origin: Origin,
    private readonly shares: boolean,
  ) {}

  open(url: string): EventSource {
    const source = new Source(url, this, this.origin, `net ${this.name} ${this.sources.length}`);
    this.sources.push(source);
    return source as unknown as EventSource;
  }

  locks(): LockManager | null {
    const request = (name: string, options: LockOptions, callback: () => unknown) =>
      this.origin.locks.ask(this, name, options, callback);
    const query = async () => ({ held: this.origin.locks.held });
    return this.shares ? ({ request, query } as unknown as LockManager) : null;
  }

  channel(name: string): BroadcastChannel {
    return new Channel(this, this.origin.channel(name), this.origin.tasks) as unknown as BroadcastChannel;
  }

  isVisible = () => this.visible && !this.frozen && !this.gone;
  isOnline = () => this.online;
  soon = (task: Task) => this.origin.tasks.add(`soon ${this.name}`, this, task);
  on = (hear: (occasion: Occasion) => void) => void (this.#hear = hear);

  meet(occasion: Occasion): void {
    this.#hear(occasion);
  }

  /** The renderer is gone, without a word. */
  crash(): void {
    this.gone = true;
    for (const source of this.sources) source.close();
    this.origin.locks.drop(this);
  }
}

export class Origin {
  readonly tasks = new Tasks();
  readonly locks = new Locks(this.tasks);
  readonly server = new Server();
  readonly #channels = new Map<string, Set<Channel>>();
  #pages = 0;

  page({ shares = true } = {}): Page {
    return new Page(`${(this.#pages += 1)}`, this, shares);
  }

  channel(name: string): Set<Channel> {
    const channels = this.#channels.get(name) ?? new Set();
    this.#channels.set(name, channels);
    return channels;
  }

  /** Let time pass, second by second; timers are fake. */
  async pass(seconds: number, each = () => {}): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      each();
      await this.settle();
      vi.advanceTimersByTime(1000);
      await this.settle();
    }
  }

  /** Run tasks until there are none, or so many. */
  async settle(choose: Choose = () => 0, most = 100_000): Promise<void> {
    await settled();
    for (let count = 0; count < most && this.tasks.run(choose); count += 1) await settled();
  }
}

/** Let promises do what follows from a task, as a browser does before the next one. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
