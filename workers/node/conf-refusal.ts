import { type FailureType, ProvisionError } from '../../contracts/failures.ts';

/** A value of the configuration as a message shows it. */
export const shown = (value: unknown): string =>
  value === undefined ? 'missing' : JSON.stringify(value).slice(0, 100);

export const refused = (type: FailureType, message: string, remedy: string): ProvisionError =>
  new ProvisionError({ type, message, remedy });

export const invalid = (key: string, value: unknown, allowed: string): ProvisionError =>
  refused('InvalidConfig', `Key "${key}" of the network configuration is ${shown(value)}`, `Allowed: ${allowed}`);

export const notYet = (what: string): ProvisionError =>
  refused(
    'NotImplemented',
    `${what} is not supported yet by this version of Orbweaver`,
    'Leave it out, or use a later version',
  );
