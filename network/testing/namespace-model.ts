import { formatAddress, networkOf, parseAddress, parsePrefix, prefixContains } from '../ip-prefix.ts';
import { inversesOf, type LinkOperation, type ReversibleOperation } from '../link-operation.ts';
import type { ObservedAddress, ObservedLink, ObservedRoute } from '../observed-namespace.ts';
import type { ObservedSurroundings } from '../plan-attachment.ts';

/**
 * A pod's namespace and one parent, with the kernel's rules as far as plans depend on them: names are taken once, a route
 * needs its gateway in reach of an address, going down loses routes, a link takes its addresses and routes away.
 */
export class NamespaceModel {
  readonly parent: ObservedLink;
  #links: ObservedLink[];
  #addresses: ObservedAddress[] = [];
  #routes: ObservedRoute[] = [];

  constructor(parent: ObservedLink, links: readonly ObservedLink[] = []) {
    this.parent = parent;
    this.#links = [...links];
  }

  observe(): ObservedSurroundings {
    const pod = { links: [...this.#links], addresses: [...this.#addresses], routes: [...this.#routes] };
    return structuredClone({ pod, parent: { link: this.parent } });
  }

  apply(operations: readonly LinkOperation[]): void {
    for (const operation of operations) this.#apply(operation);
  }

  undo(operations: readonly ReversibleOperation[]): void {
    this.apply(inversesOf(operations));
  }

  #apply(operation: LinkOperation): void {
    switch (operation.op) {
      case 'create-link':
        this.#refuse(
          'EEXIST',
          this.#links.some(({ ifName }) => ifName === operation.ifName),
        );
        this.#links.push({
          ifIndex: 1 + Math.max(0, ...this.#links.map(({ ifIndex }) => ifIndex)),
          ifName: operation.ifName,
          kind: operation.link.kind,
          mac: '02:00:00:00:00:01',
          mtuBytes: this.parent.mtuBytes,
          isUp: false,
          isLoopback: false,
          isEthernet: true,
          group: operation.group,
          alias: '',
          parentIndex: this.parent.ifIndex,
          shape: operation.link,
        });
        return;
      case 'delete-link':
        return this.#deleteLink(this.#link(operation.ifName).ifIndex);
      case 'set-alias':
        return this.#change(operation.ifName, { alias: operation.alias });
      case 'set-mtu':
        this.#refuse('EINVAL', operation.mtuBytes > this.parent.mtuBytes);
        return this.#change(operation.ifName, { mtuBytes: operation.mtuBytes });
      case 'set-up':
        return this.#change(operation.ifName, { isUp: true });
      case 'set-down':
        this.#routes = this.#routes.filter(({ ifIndex }) => ifIndex !== this.#link(operation.ifName).ifIndex);
        return this.#change(operation.ifName, { isUp: false });
      case 'add-address':
        return this.#addAddress(this.#link(operation.ifName), operation.address);
      case 'delete-address':
        return this.#deleteAddress(this.#link(operation.ifName), operation.address);
      case 'add-route':
        return this.#addRoute(this.#link(operation.ifName), operation);
      case 'delete-route': {
        const { ifIndex } = this.#link(operation.ifName);
        const kept = this.#routes.filter(
          (route) => !(route.ifIndex === ifIndex && route.dst === operation.dst && route.gateway === operation.gateway),
        );
        this.#refuse('ESRCH', kept.length === this.#routes.length);
        this.#routes = kept;
        return;
      }
      case 'create-bond':
      case 'add-port':
      case 'remove-port':
      case 'set-active-port':
        throw new Error(`${operation.op} in a pod`);
    }
  }

  #addAddress({ ifIndex }: ObservedLink, address: string): void {
    const { family } = parsePrefix(address);
    this.#refuse(
      'EEXIST',
      this.#addresses.some((one) => one.ifIndex === ifIndex && one.address === address),
    );
    this.#addresses.push({ ifIndex, family, address, isLinkLocal: false });
    this.#routes.push({ family, dst: networkOf(address), ifIndex, metric: family === 4 ? 0 : 256, protocol: 2 });
  }

  #deleteAddress({ ifIndex }: ObservedLink, address: string): void {
    const at = this.#addresses.findIndex((one) => one.ifIndex === ifIndex && one.address === address);
    this.#refuse('EADDRNOTAVAIL', at < 0);
    this.#addresses.splice(at, 1);
    const route = this.#routes.findIndex(
      (one) => one.ifIndex === ifIndex && one.dst === networkOf(address) && one.protocol === 2,
    );
    if (route >= 0) this.#routes.splice(route, 1);
  }

  #addRoute(
    { ifIndex, isUp }: ObservedLink,
    { dst, gateway, protocol }: { dst: string; gateway: string; protocol: number },
  ): void {
    const { family } = parsePrefix(dst);
    const metric = family === 4 ? 0 : 1024;
    const ours = this.#addresses
      .filter((address) => address.ifIndex === ifIndex)
      .map(({ address }) => parsePrefix(address));
    this.#refuse('ENETDOWN', !isUp);
    this.#refuse('ENETUNREACH', !ours.some((prefix) => prefixContains(prefix, parseAddress(gateway))));
    this.#refuse(
      'EINVAL',
      ours.some(({ bytes }) => formatAddress(bytes) === gateway),
    );
    this.#refuse(
      'EEXIST',
      this.#routes.some((route) => route.dst === dst && route.metric === metric),
    );
    this.#routes.push({ family, dst, gateway, ifIndex, metric, protocol });
  }

  #deleteLink(index: number): void {
    const isElsewhere = ({ ifIndex }: { ifIndex?: number }): boolean => ifIndex !== index;
    this.#links = this.#links.filter(isElsewhere);
    this.#addresses = this.#addresses.filter(isElsewhere);
    this.#routes = this.#routes.filter(isElsewhere);
  }

  #change(ifName: string, changes: Partial<ObservedLink>): void {
    const changed = { ...this.#link(ifName), ...changes };
    this.#links = this.#links.map((link) => (link.ifName === ifName ? changed : link));
  }

  #link(name: string): ObservedLink {
    const link = this.#links.find(({ ifName }) => ifName === name);
    if (link === undefined) throw new Error('ENODEV');
    return link;
  }

  #refuse(code: string, isRefused: boolean): void {
    if (isRefused) throw new Error(code);
  }
}
