/** Runs of a node's pods, and the only namespace that node credentials know. */
export const nodeNamespace = 'orbweaver';
/** Everything that is not tied to one node. */
export const controlNamespace = 'orbweaver-control';

/** Task queue of one node: its runs, their local activities and the client are one process. */
export const nodeQueue = (nodeName: string): string => `node/${nodeName}`;
export const controlQueue = 'control';
