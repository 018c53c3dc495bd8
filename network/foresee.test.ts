import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { planCoordination } from './coordination/plan-coordination.ts';
import { CoordinationModel } from './coordination/testing/coordination-model.ts';
import { join, networks, overlayPod, request } from './coordination/testing/pod-shapes.ts';
import { foresee } from './foresee.ts';

const macvlans = ['macvlan', 'second', 'third'] as const;

describe('what is foreseen of a plan', () => {
  it('is what the kernel then shows: the same plan made again is empty', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.uniqueArray(fc.constantFrom(...macvlans), { minLength: 1, maxLength: 3 }),
        (isOverlay, names) => {
          const model = isOverlay ? overlayPod() : new CoordinationModel();
          const nics = names.map((name, index) => [isOverlay || index > 0 ? `net${index + 1}` : 'eth0', name] as const);
          const [last] = nics.slice(-1);
          if (last === undefined) return;
          for (const [ifName, name] of nics.slice(0, -1)) join(model, ifName, name);
          model.addNic(last[0], networks[last[1]]);
          const found = model.observe(last[0]);
          const plan = planCoordination(found, request(last[0]));
          if (plan.outcome !== 'plan') throw new Error(JSON.stringify(plan));
          const foreseen = foresee(found, plan.operations);
          const again = planCoordination(foreseen, request(last[0]));
          expect(again).toMatchObject({ outcome: 'plan', operations: [] });
          model.apply(plan.operations);
          const { pod } = model.observe(last[0]);
          expect(foreseen.pod.rules.toSorted(byText)).toEqual(pod.rules.toSorted(byText));
          expect(foreseen.pod.routes.toSorted(byText)).toEqual(pod.routes.toSorted(byText));
          expect(foreseen.pod.sysctls).toEqual(pod.sysctls);
        },
      ),
    );
  });
});

const byText = (one: object, other: object): number => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);
