/** Placed by its maker: no scheduler and no kubelet will touch it. */
export const placedPod = (nodeName: string, metadata: object): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { ...metadata, namespace: 'default' },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 0,
    tolerations: [{ operator: 'Exists' }],
    containers: [{ name: 'main', image: 'kube.local/busybox:1' }],
  },
});
