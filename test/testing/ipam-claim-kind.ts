const cidrs = {
  type: 'array',
  maxItems: 2,
  items: { type: 'string', 'x-kubernetes-validations': [{ rule: 'isCIDR(self)', message: 'CIDR is invalid' }] },
};
const text = { type: 'string' };

/** The kind of the Network Plumbing Working Group (v0.5.1-alpha), with what its own definition requires of a status. */
export const ipamClaimKind = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'ipamclaims.k8s.cni.cncf.io' },
  spec: {
    group: 'k8s.cni.cncf.io',
    scope: 'Namespaced',
    names: { kind: 'IPAMClaim', plural: 'ipamclaims', singular: 'ipamclaim', listKind: 'IPAMClaimList' },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                required: ['network', 'interface'],
                properties: { network: text, interface: text, ipRequests: cidrs },
              },
              status: {
                type: 'object',
                required: ['ips'],
                properties: {
                  ips: cidrs,
                  ownerPod: { type: 'object', required: ['name'], properties: { name: text } },
                  conditions: {
                    type: 'array',
                    items: {
                      type: 'object',
                      required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
                      properties: {
                        type: { ...text, maxLength: 316 },
                        status: { ...text, enum: ['True', 'False', 'Unknown'] },
                        reason: { ...text, minLength: 1, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' },
                        message: text,
                        lastTransitionTime: { ...text, format: 'date-time' },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

export const ipamClaim = (name: string, spec: object = {}): object => ({
  apiVersion: 'k8s.cni.cncf.io/v1alpha1',
  kind: 'IPAMClaim',
  metadata: { name, namespace: 'default' },
  spec: { network: 'underlay', interface: 'eth0', ...spec },
});
