import { PROCESS_SETTINGS } from '../common/settings.js';

/** What version 6 reads from the environment. */
export const DECLARATIONS = { ...PROCESS_SETTINGS, DB_URL: { type: 'url', required: true } };
