import { MemoryClaims } from './testing/memory-claims.ts';
import { claimStoreContract } from './testing/claim-store-contract.ts';

claimStoreContract('an API server in memory', async () => new MemoryClaims());
