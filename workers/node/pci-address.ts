/** How a refusal describes one. */
export const pciAddressExample = 'a PCI address with its domain, for example "0000:3b:02.1"';

/** In lower case, as the kernel has it; undefined for anything that is no PCI address with its domain. */
export const toPciAddress = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i.test(value)
    ? value.toLowerCase()
    : undefined;
