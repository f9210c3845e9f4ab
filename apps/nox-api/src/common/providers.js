function readGoogle(person) {
  return {
    providerUserId: String(person.sub),
    email: person.email,
    emailVerified: person.email_verified === true,
    name: person.name ?? null,
    avatarUrl: person.picture ?? null,
  };
}

async function readGithub(person, get) {
  // the address on the public profile may be empty or unchecked; the list says which one is checked
  const addresses = await get(`${this.userinfoUrl}/emails`);
  const chosen =
    addresses.find((entry) => entry.primary && entry.verified) ?? addresses.find((entry) => entry.verified);
  return {
    providerUserId: String(person.id),
    email: chosen?.email ?? person.email,
    emailVerified: chosen !== undefined,
    name: person.name ?? person.login,
    avatarUrl: person.avatar_url ?? null,
  };
}

function readMicrosoft(person) {
  // an administrator of any tenant can write any address here, so nobody has checked it
  return {
    providerUserId: String(person.id),
    email: person.mail ?? person.userPrincipalName,
    emailVerified: false,
    name: person.displayName ?? null,
    avatarUrl: null,
  };
}

const FLAVOURS = {
  google: {
    scope: 'openid email profile',
    readIdentity: readGoogle,
    authorizeUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
    tokenUrl: 'https://oauth2.googleapis.com/token',
    userinfoUrl: 'https://openidconnect.googleapis.com/v1/userinfo',
  },
  github: {
    scope: 'read:user user:email',
    readIdentity: readGithub,
    authorizeUrl: 'https://github.com/login/oauth/authorize',
    tokenUrl: 'https://github.com/login/oauth/access_token',
    userinfoUrl: 'https://api.github.com/user',
  },
  microsoft: {
    scope: 'openid email profile User.Read',
    readIdentity: readMicrosoft,
    authorizeUrl: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
    tokenUrl: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
    userinfoUrl: 'https://graph.microsoft.com/v1.0/me',
  },
};

/** Declare the settings of the named providers: credentials are required, addresses default to the real ones. */
export function providerSettings(names) {
  const declarations = {};
  for (const name of names) {
    const prefix = name.toUpperCase();
    declarations[`${prefix}_CLIENT_ID`] = { type: 'string', required: true };
    declarations[`${prefix}_CLIENT_SECRET`] = { type: 'string', required: true };
    declarations[`${prefix}_AUTHORIZE_URL`] = { type: 'url', default: FLAVOURS[name].authorizeUrl };
    declarations[`${prefix}_TOKEN_URL`] = { type: 'url', default: FLAVOURS[name].tokenUrl };
    declarations[`${prefix}_USERINFO_URL`] = { type: 'url', default: FLAVOURS[name].userinfoUrl };
  }
  return declarations;
}

/** Build the provider records from settings, by name. */
export function createProviders(names, settings) {
  return new Map(
    names.map((name) => {
      const setting = (suffix) => settings[`${name.toUpperCase()}_${suffix}`];
      return [
        name,
        {
          ...FLAVOURS[name],
          name,
          clientId: setting('CLIENT_ID'),
          clientSecret: setting('CLIENT_SECRET'),
          authorizeUrl: setting('AUTHORIZE_URL'),
          tokenUrl: setting('TOKEN_URL'),
          userinfoUrl: setting('USERINFO_URL'),
        },
      ];
    }),
  );
}
