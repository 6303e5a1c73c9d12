/** Which of a conversation's branches is shown, and what stands beside each of its messages. Pure. */
import { isReply, isWhole, type Message, type Outline, type Reply } from '../client/protocol';

export type Node = Message | Outline;

/** The shape of a conversation: it changes when messages are added, never while a reply is written. */
export interface Tree {
  readonly nodes: readonly Node[];
  /** Where a message stands in the order of creation. */
  readonly places: ReadonlyMap<string, number>;
  readonly below: ReadonlyMap<string | null, readonly string[]>;
}

/** A message among those that could stand in its place; `at` counts from 0. */
export interface Versions {
  ids: readonly string[];
  at: number;
}

/** Replies of different responders to one question, that was asked once for each. */
export interface Pair {
  question: Message;
  replies: readonly Reply[];
}

/** Return the shape of what a state holds, the same one as before where it has not changed. */
export function shape(nodes: readonly Node[], before?: Tree): Tree {
  if (before && isSame(nodes, before.nodes)) return before;
  const below = new Map<string | null, string[]>();
  for (const { id, parent } of nodes) {
    const beside = below.get(parent);
    if (beside) beside.push(id);
    else below.set(parent, [id]);
  }
  return { nodes, places: new Map(nodes.map(({ id }, place) => [id, place])), below };
}

const isSame = (one: readonly Node[], other: readonly Node[]) =>
  one.length === other.length &&
  one.every((node, place) => {
    const old = other[place];
    return node === old || (node.id === old?.id && node.parent === old.parent && node.role === old.role);
  });

const nodeOf = (tree: Tree, id: string | null): Node | undefined => tree.nodes[tree.places.get(id ?? '') ?? -1];

/** The ids from the root to a message. Parents that are unknown, and circles, which no honest server sends, end it. */
export function path(tree: Tree, leaf: string | null): string[] {
  const found = new Set<string>();
  for (let node = nodeOf(tree, leaf); node && !found.has(node.id); node = nodeOf(tree, node.parent)) found.add(node.id);
  return [...found].reverse();
}

/** The newest message that came below one, or that one itself. */
export function newestBelow(tree: Tree, id: string): string {
  const inside = new Set([id]);
  let newest = id;
  for (const node of tree.nodes) {
    if (node.parent === null || !inside.has(node.parent) || inside.has(node.id)) continue;
    inside.add(node.id);
    newest = node.id;
  }
  return newest;
}

/** The ids that are shown: the newest branch through what was chosen, or else the one that ends at `head`. */
export function shownPath(tree: Tree, head: string | null, chosen: string | null): string[] {
  return path(tree, chosen !== null && tree.places.has(chosen) ? newestBelow(tree, chosen) : head);
}

/** Who stands beside a message: those of the same role with the same parent, in order of creation. */
export function versionsOf(tree: Tree, { id, parent, role }: Node): Versions {
  const ids = (tree.below.get(parent) ?? []).filter((one) => nodeOf(tree, one)?.role === role);
  return { ids, at: ids.indexOf(id) };
}

/** The newest reply to a question. */
function answer(tree: Tree, question: string): string | undefined {
  return tree.below.get(question)?.findLast((id) => nodeOf(tree, id)?.role === 'assistant');
}

/** The last question of a branch with nothing but a reply behind it. */
function lastQuestion(tree: Tree, branch: readonly string[]): Node | undefined {
  const last = nodeOf(tree, branch.at(-1) ?? null);
  const question = last?.role === 'assistant' ? nodeOf(tree, last.parent) : last;
  return question?.role === 'user' ? question : undefined;
}

/** The ids of all that `pairAt` has to look at: content of it that is missing has to be read first. */
export function besideEnd(tree: Tree, branch: readonly string[]): string[] {
  const question = lastQuestion(tree, branch);
  const { ids } = question ? versionsOf(tree, question) : { ids: [] };
  return ids.length < 2 ? [] : ids.flatMap((id) => [id, answer(tree, id) ?? id]);
}

/**
 * What ends a branch as a comparison: the same question, asked beside itself and answered by different responders.
 * Who has chosen one of the replies sees that one alone.
 */
export function pairAt(tree: Tree, nodes: readonly Node[], branch: readonly string[], chosen: string | null): Pair | null {
  const find = (id: string | undefined) => nodes[tree.places.get(id ?? '') ?? -1];
  const own = lastQuestion(tree, branch);
  const question = find(own?.id);
  if (!question || !isWhole(question) || find(chosen ?? '')?.parent === question.id) return null;
  const replies = new Map<string, Reply>();
  const { ids } = versionsOf(tree, question);
  for (const id of [question.id, ...ids.toReversed()]) {
    const beside = find(id);
    const reply = find(answer(tree, id));
    if (!beside || !isWhole(beside) || beside.text !== question.text || !reply || !isReply(reply)) continue;
    if (!replies.has(reply.responder)) replies.set(reply.responder, reply);
  }
  if (replies.size < 2) return null;
  const order = (reply: Reply) => ids.indexOf(reply.parent ?? '');
  return { question, replies: [...replies.values()].sort((one, other) => order(one) - order(other)) };
}
