import { formatAddress, networkOf, parseAddress, parsePrefix, prefixContains } from '../ip-prefix.ts';
import { type CreatePair, inversesOf, type LinkOperation, type ReversibleOperation } from '../link-operation.ts';
import type { ObservedAddress, ObservedLink, ObservedRoute } from '../observed-namespace.ts';
import type { ObservedSurroundings } from '../plan-attachment.ts';

/**
 * A pod's namespace and one parent, with the kernel's rules as far as plans depend on them: names are taken once, a route
 * needs its gateway in reach of an address, going down loses routes, a link takes its addresses and routes away, and one end of
 * a pair the other one.
 */
export class NamespaceModel {
  readonly parent: ObservedLink;
  #links: ObservedLink[];
  #nodeEnd: ObservedLink | undefined;
  #addresses: ObservedAddress[] = [];
  #routes: ObservedRoute[] = [];

  constructor(parent: ObservedLink, links: readonly ObservedLink[] = []) {
    this.parent = parent;
    this.#links = [...links];
  }

  observe(): ObservedSurroundings {
    const pod = { links: [...this.#links], addresses: [...this.#addresses], routes: [...this.#routes] };
    const nodeEnd = this.#nodeEnd && {
      link: this.#nodeEnd,
      ...(this.#nodeEnd.controllerIndex === undefined ? {} : { controller: this.parent }),
    };
    return structuredClone({ pod, parent: { link: this.parent }, ...(nodeEnd === undefined ? {} : { nodeEnd }) });
  }

  apply(operations: readonly LinkOperation[]): void {
    for (const operation of operations) this.#apply(operation);
  }

  undo(operations: readonly ReversibleOperation[]): void {
    this.apply(inversesOf(operations));
  }

  #apply(operation: LinkOperation): void {
    if ('at' in operation) return this.#applyToNodeEnd(operation);
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
      case 'create-pair':
        return this.#addPair(operation);
      case 'delete-link':
        return this.#deleteLink(this.#link(operation.ifName).ifIndex);
      case 'set-alias':
        return this.#change(operation.ifName, { alias: operation.alias });
      case 'set-mtu':
        this.#refuse('EINVAL', operation.mtuBytes > this.parent.mtuBytes && this.#nodeEnd === undefined);
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

  #addPair({ ifName, mtuBytes, nodeEnd, master, group }: CreatePair): void {
    this.#refuse(
      'EEXIST',
      this.#links.some((link) => link.ifName === ifName),
    );
    this.#refuse('ENODEV', master !== this.parent.ifName);
    this.#refuse('EEXIST', this.#nodeEnd !== undefined);
    const ifIndex = 1 + Math.max(0, ...this.#links.map((link) => link.ifIndex));
    const nodeIndex = this.parent.ifIndex + 1;
    const end = { kind: 'veth', isUp: false, isLoopback: false, isEthernet: true, group, alias: '' };
    this.#links.push({ ...end, ifIndex, ifName, mac: '02:00:00:00:00:01', mtuBytes, parentIndex: nodeIndex });
    const controllerIndex = this.parent.ifIndex;
    this.#nodeEnd = { ...end, ...nodeEnd, ifIndex: nodeIndex, parentIndex: ifIndex, controllerIndex };
  }

  #applyToNodeEnd(operation: Extract<LinkOperation, { at?: 'node' }>): void {
    const end = this.#nodeEnd;
    if (end?.ifName !== operation.ifName) throw new Error('ENODEV');
    const { controllerIndex: _, ...free } = end;
    switch (operation.op) {
      case 'set-alias':
        this.#nodeEnd = { ...end, alias: operation.alias };
        return;
      case 'set-mtu':
        this.#nodeEnd = { ...end, mtuBytes: operation.mtuBytes };
        return;
      case 'set-up':
      case 'set-down':
        this.#nodeEnd = { ...end, isUp: operation.op === 'set-up' };
        return;
      case 'add-port':
        this.#refuse('ENODEV', operation.controller !== this.parent.ifName);
        this.#nodeEnd = { ...end, controllerIndex: this.parent.ifIndex };
        return;
      case 'remove-port':
        this.#nodeEnd = free;
        return;
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
    if (this.#nodeEnd?.parentIndex === index) this.#nodeEnd = undefined;
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
