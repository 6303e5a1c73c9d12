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

/** Reads the frames of a connection, in their order. */
export class Reader {
  readonly #streams = new Map<string, StreamName>(); // by epoch
  #lastId = '';

  /** `lastEventId` is repeated by frames without an id. Throws `Malformed`. */
  read(type: string, data: string, lastEventId: string): Heard {
    const id = lastEventId !== this.#lastId ? lastEventId : null;
    this.#lastId = lastEventId;
    const theirs = id === null ? null : (this.#streams.get(epochOf(id)) ?? null);
    if (type === 'message') return { stream: 'broadcast', id, frame: { type, text: data, notice: id === null } as never };
    const frame = parsed(data);
    if (frame?.type !== type) throw new Malformed(`${type} holds no frame: ${data.slice(0, 100)}`, theirs);
    const stream = typeof frame.stream === 'string' ? (frame.stream as StreamName) : theirs;
    if (!stream) throw new Malformed(`${type} belongs to no stream`, null);
    if (type === 'hello' && typeof frame.epoch === 'string') this.#streams.set(frame.epoch, stream);
    return { stream, id, frame };
  }
}

/**
 * Notices a stream that is behind two pings running: it has not reached the head that the ping before told. One that
 * stands where it stood when it was last noticed is left alone: what came there is of types that are not known here.
 */
export class Lag {
  readonly #noticed = new Map<StreamName, string | null>();
  #heads = new Map<StreamName, string>();

  /** Forget the pings of the connection before. */
  begin(): void {
    this.#heads = new Map();
  }

  notices(stream: StreamName, cursor: string | null, head: unknown): boolean {
    if (typeof head !== 'string') return false;
    const before = this.#heads.get(stream);
    this.#heads.set(stream, head);
    if (before === undefined || reached(cursor, before) || this.#noticed.get(stream) === cursor) return false;
    this.#noticed.set(stream, cursor);
    return true;
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

function parsed(data: string): ({ type?: unknown; stream?: unknown; epoch?: unknown } & { type: string }) | null {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
