/** What is told of a reply beside its text. Pure. */
import { CLIENT, isLive, type Reply } from '../client/protocol';

/** How a reply ended, where that has to be said; else nothing. */
export function endingOf({ status, error, finish_reason }: Reply): string {
  switch (status) {
    case 'cancelled':
      return 'Stopped.';
    case 'failed':
      return `Failed: ${error?.message ?? 'the reply could not be finished.'}`;
    case 'interrupted':
      return 'Interrupted: the server ended in the middle of this reply. What it had written is kept.';
    case 'completed':
      if (finish_reason === 'length') return 'Cut: the reply reached the longest allowed.';
      return finish_reason === 'content_filter' ? 'Cut: the rest was filtered.' : '';
    default:
      return '';
  }
}

/** What is known of a reply's making, from its own times, as names with values. */
export function factsOf(reply: Reply): [name: string, value: string][] {
  const { usage, created_at, started_at, first_token_at, ended_at } = reply;
  const facts: [string, string][] = [['Responder', reply.responder === CLIENT ? 'none here: a client brought it' : reply.responder]];
  const waited = between(created_at, started_at);
  const first = between(started_at, first_token_at);
  const writing = between(first_token_at, ended_at);
  const about = usage?.estimated ? 'about ' : '';
  if (usage) facts.push(['Written', `${about}${count(usage.output_tokens)} tokens${usage.partial ? ', not all' : ''}`]);
  if (usage) facts.push(['Read', `${about}${count(usage.input_tokens)} tokens`]);
  if (waited !== null && waited >= 0.05) facts.push(['Waited before it began', seconds(waited)]);
  if (first !== null) facts.push(['Time to first token', seconds(first)]);
  if (usage && writing && usage.output_tokens > 1) {
    facts.push(['Tokens per second', `${about}${rounded((usage.output_tokens - 1) / writing)}`]);
  }
  const all = between(created_at, ended_at);
  if (all !== null) facts.push(['Time in all', seconds(all)]);
  if (reply.finish_reason) facts.push(['Finish reason', reply.finish_reason]);
  facts.push(['Asked', moment(created_at)]);
  return facts;
}

/** JSON with line breaks; what is none stays as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** What somebody who listens is told about a reply that has begun or ended. */
export function heardOf(reply: Reply): string {
  if (isLive(reply)) return 'Reply started';
  return `Reply finished: ${endingOf(reply) || firstWords(reply.text) || 'no text'}`;
}

/** The first words of a text, on one line. */
export function firstWords(text: string, most = 80): string {
  const line = text.slice(0, 4 * most).replace(/\s+/g, ' ').trim();
  return line.length <= most ? line : `${line.slice(0, most).replace(/\s\S*$/, '')} …`;
}

/** Whether an image holds itself, as a picture that browsers show: no other is ever asked for. */
export const isPicture = (url: string): boolean => /^data:image\/(png|jpeg|gif|webp|avif|bmp);base64,/i.test(url);

/** Where an image can be found by who presses a link to it; empty where that is nowhere on the web. */
export function linkOf(url: string): string {
  try {
    const { protocol, href } = new URL(url);
    return protocol === 'https:' || protocol === 'http:' ? href : '';
  } catch {
    return '';
  }
}

/** As much of an address as a person reads. */
export const short = (url: string, most = 300): string => (url.length > most ? `${url.slice(0, most)} …` : url);

/** Whether a question is so long that it is folded. */
export const isLong = (text: string): boolean => text.length > 1200 || text.split('\n', 13).length > 12;

function between(from: string | null, to: string | null): number | null {
  const span = from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : NaN;
  return span >= 0 ? span : null;
}

const count = (number: number) => number.toLocaleString('en');
const rounded = (number: number) => (number < 100 ? number.toFixed(1) : count(Math.round(number)));
const seconds = (span: number) => (span < 1 ? `${Math.round(span * 1000)} ms` : `${span.toFixed(span < 10 ? 2 : 1)} s`);

function moment(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.valueOf()) ? at : date.toLocaleString();
}
