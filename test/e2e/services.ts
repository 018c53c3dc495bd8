import { sleepingContainer, sleepingPod } from './running-pods.ts';

const port = 8080;

/** A pod that tells each client which address it sees of it. Services find it by its name. */
export function podThatTellsWho(name: string, annotations: Readonly<Record<string, string>>, node: string): object {
  const { spec, ...pod } = sleepingPod(name, annotations, { labels: { app: name }, node });
  return { ...pod, spec: { ...spec, containers: [{ ...sleepingContainer('main'), command: ['sh', '-c', server] }] } };
}

/** BusyBox's httpd speaks both families by one socket, and writes [fd00::1] and [::ffff:10.0.0.1]. */
const server = String.raw`
mkdir -p /tmp/www/cgi-bin && cd /tmp/www && cat >cgi-bin/who <<'end'
#!/bin/sh
echo; echo "$REMOTE_ADDR" | sed 's/^\[//; s/]$//; s/^::ffff://'
end
chmod +x cgi-bin/who && exec httpd -f -p ${port}
`;

interface ServiceSettings {
  /** One address, or one of each family. */
  readonly clusterIPs: readonly string[];
  readonly nodePort: number;
  /** Of clients inside and outside of the cluster. */
  readonly trafficPolicy?: 'Cluster' | 'Local';
}

/** A Service for the pod of that name. */
export const serviceOf = (
  pod: string,
  name: string,
  { clusterIPs, nodePort, trafficPolicy = 'Cluster' }: ServiceSettings,
): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: {
    type: 'NodePort',
    selector: { app: pod },
    clusterIP: clusterIPs[0],
    clusterIPs,
    ipFamilyPolicy: clusterIPs.length === 1 ? 'SingleStack' : 'RequireDualStack',
    externalTrafficPolicy: trafficPolicy,
    internalTrafficPolicy: trafficPolicy,
    ports: [{ port: 80, targetPort: port, nodePort }],
  },
});

/** Where the Service of an address, or the NodePort of a node's address, tells who asks. */
export const whoAt = (address: string, nodePort = 80): string =>
  `http://${address.includes(':') ? `[${address}]` : address}:${nodePort}/cgi-bin/who`;

/** Asks there. It fails when nobody answers in time; the limit is not wget's own, which crashes in Debian's static BusyBox 1.35. */
export const askWho = (url: string, seconds = 20): string[] =>
  `busybox timeout ${seconds} busybox wget -q -O - ${url}`.split(' ');
