/** What a built guest is, in its `guest.json`. */
export interface GuestFacts {
  /** As `uname -r` prints it in the guest. */
  readonly kernel: string;
  /** By module: what does not work because it could not be built for this kernel, and why. For the reason of a skipped test. */
  readonly lacks: Readonly<Record<string, string>>;
}
