/** Name of a network device: dev_valid_name(), net/core/dev.c. */
const linkNamePattern = /^(?!\.{1,2}$)[^\s/:%]+$/;

/** IFNAMSIZ less the terminator, include/uapi/linux/if.h. */
export const longestLinkName = 15;

export const mayNameLink = (name: string): boolean =>
  linkNamePattern.test(name) && Buffer.byteLength(name) <= longestLinkName;

export const isLinkName = (name: unknown): name is string => typeof name === 'string' && mayNameLink(name);
