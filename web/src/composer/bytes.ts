/** How long a text is for the server, which counts the bytes of UTF-8. */

const encoder = new TextEncoder();

/** From this part of the limit on, a text says how much is left. */
const NEAR = 0.8;

export interface Room {
  /** What is left; below 0 the text is too long. */
  left: number;
  near: boolean;
  over: boolean;
}

/** Say whether a text fits; a limit that is not known yet is none. */
export function roomFor(text: string, limit: number): Room {
  // A UTF-16 unit has three bytes at most: what is clearly short is not counted at every key.
  const length = text.length * 3 < limit * NEAR ? 0 : encoder.encode(text).length;
  return { left: limit - length, near: length >= limit * NEAR, over: length > limit };
}

/** Say a number of bytes. */
export const counted = (bytes: number): string => `${bytes.toLocaleString('en')} ${bytes === 1 ? 'byte' : 'bytes'}`;
