import { providerSettings } from '../common/providers.js';
import { PROCESS_SETTINGS } from '../common/settings.js';

/** The one provider of version 7. */
export const PROVIDER = 'google';

/** What version 7 reads from the environment. */
export const DECLARATIONS = {
  ...PROCESS_SETTINGS,
  DB_URL: { type: 'url', required: true },
  REDIS_URL: { type: 'url', required: true },
  AUTH_SECRET: { type: 'string', required: true },
  ...providerSettings([PROVIDER]),
};
