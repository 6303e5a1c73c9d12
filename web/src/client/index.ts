/** What `/client.js` gives to other pages: docs/client.md. */
export { QUIET, reduceChannel } from './channel';
export { callsTo } from './calls';
export { Client, client, connect } from './client';
export { reduceList, UNKNOWN } from './list';
export { newKey, Refused } from './post';
export { isLive, isReply, isWhole } from './protocol';
export { branch, EMPTY, reduce } from './reduce';
