/** What is read out to who cannot see it: one line, politely. */

let line = $state('');

export const heard = {
  get line(): string {
    return line;
  },
};

/** Read something out; the same words twice are read out twice. */
export function say(words: string): void {
  line = line === words ? `${words}\u00a0` : words;
}
