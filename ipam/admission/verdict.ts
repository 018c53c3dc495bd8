/** What admission says about one request. */
export type Verdict = Allowed | Denied;

export interface Allowed {
  readonly outcome: 'allowed';
  /** Sentences that the API server hands to the user; none when there is nothing to say. */
  readonly warnings: readonly string[];
}

export interface Denied {
  readonly outcome: 'denied';
  /** 403: not while it is in use, or not by this user. 409: try again, or it exists. 422: the object itself is wrong. */
  readonly status: 403 | 409 | 422;
  /** Every problem, each with field, value and remedy. */
  readonly message: string;
}

/** What the mutating webhook answers: the object as it should be stored, or why it cannot be. */
export type Mutation = { readonly outcome: 'mutated'; readonly object: object } | Denied;
