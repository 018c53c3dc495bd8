/** Search attributes of the runs, with their Temporal types. SQL visibility has ten Keyword columns per namespace. */
export const searchAttributes = {
  NodeName: 'Keyword',
  PodNamespace: 'Keyword',
  PodName: 'Keyword',
  PodUID: 'Keyword',
  /** Kind/namespace/name of the pod's controller, cut at 200 characters. */
  Workload: 'Keyword',
  NetPhase: 'Keyword',
  IpAddress: 'KeywordList',
  PoolName: 'KeywordList',
} as const;

export type SearchAttributeName = keyof typeof searchAttributes;

/** Values of `NetPhase`. */
export type NetPhase = 'Attaching' | 'Attached' | 'Failed' | 'UnwindStuck';
