/** The frames of one connection on which there are many streams: whose each one is, and who lags behind. Pure. */
import { epochOf, reached, type Heard, type StreamName } from './held';

/** A frame that cannot be read, or cannot follow on what is held. */
export class Malformed extends Error {
  constructor(
    message: string,
    readonly stream: StreamName | null,
  ) {
    super(message);
  }
}

/**
 * Reads the frames of a connection, in their order.
 *
 * A browser is silent about events of types that nobody listens for, but they have numbers: where one is left out,
 * there was such an event, for a connection loses nothing in its middle. `leapt` is then called with the stream.
 */
export class Reader {
  readonly #streams = new Map<string, StreamName>(); // by epoch
  readonly #numbers = new Map<string, number>(); // of the newest event, by epoch
  #lastId = '';

  constructor(private readonly leapt: (stream: StreamName) => void = () => {}) {}

  /** `lastEventId` is repeated by frames without an id. Throws `Malformed`. */
  read(type: string, data: string, lastEventId: string): Heard {
    const id = lastEventId !== this.#lastId ? lastEventId : null;
    this.#lastId = lastEventId;
    const theirs = id === null ? null : (this.#streams.get(epochOf(id)) ?? null);
    if (type === 'message') {
      const own = theirs === 'broadcast' ? id : null; // else it is a join notice behind an event that was not told
      if (own !== null) this.#count(own, 'broadcast');
      return { stream: 'broadcast', id: own, frame: { type, text: data, notice: own === null } as never };
    }
    const frame = parsed(data);
    if (frame?.type !== type) throw new Malformed(`${type} holds no frame: ${data.slice(0, 100)}`, theirs);
    const stream = typeof frame.stream === 'string' ? (frame.stream as StreamName) : theirs;
    if (!stream) throw new Malformed(`${type} belongs to no stream`, null);
    if (type === 'hello' && typeof frame.epoch === 'string') this.#streams.set(frame.epoch, stream);
    if (typeof frame.cursor === 'string' && type !== 'ping') this.#numbers.set(epochOf(frame.cursor), numberOf(frame.cursor));
    const own = theirs === stream || (type === 'snapshot' && stream !== 'conversations') ? id : null;
    if (own !== null && type !== 'snapshot' && type !== 'ping') this.#count(own, stream);
    return { stream, id: own, frame };
  }

  #count(id: string, stream: StreamName): void {
    const [number, before] = [numberOf(id), this.#numbers.get(epochOf(id))];
    if (before !== undefined && number > before + 1) this.leapt(stream);
    this.#numbers.set(epochOf(id), number);
  }
}

const numberOf = (id: string) => Number(id.slice(id.lastIndexOf('-') + 1));

/**
 * Notices a stream that is behind two pings running: it has not reached the head that the ping before told. One that
 * stands where it stood when it was last noticed is left alone: what came there is of types that are not known here.
 */
export class Lag {
  readonly #noticed = new Map<StreamName, string | null>();
  #heads = new Map<StreamName, string>();

  constructor(private readonly leapt: (stream: StreamName) => void = () => {}) {}

  /** Forget the pings of the connection before. */
  begin(): void {
    this.#heads = new Map();
  }

  notices(stream: StreamName, cursor: string | null, head: unknown): boolean {
    if (typeof head !== 'string') return false;
    const before = this.#heads.get(stream);
    this.#heads.set(stream, head);
    if (before === undefined || reached(cursor, before)) return false;
    const again = this.#noticed.get(stream) === cursor;
    if (again && cursor !== null) this.leapt(stream);
    this.#noticed.set(stream, cursor);
    return !again;
  }
}

/** The query of `GET /streams` for as many as a request's head has room for; `wanted` begins with what matters most. */
export function watchQuery(wanted: readonly (readonly [StreamName, string | null])[]): [string, StreamName[]] {
  // A cursor counts before it is there, or there would be room for others with every one that comes.
  let room = ROOM;
  const fitting = wanted.filter(([name]) => (room -= name.length + CURSOR) >= 0);
  const watches = fitting.map(([name, cursor]) => `watch=${name}@${encodeURIComponent(cursor ?? '')}`);
  return [watches.join('&'), fitting.map(([name]) => name)];
}

/** The server takes heads of 32 KiB; browsers and proxies add theirs. */
const ROOM = 24_000;
const CURSOR = 'watch=@&'.length + 25;

type Parsed = { type: string; stream?: unknown; epoch?: unknown; cursor?: unknown };

function parsed(data: string): Parsed | null {
  try {
    return JSON.parse(data) as Parsed | null;
  } catch {
    return null;
  }
}
