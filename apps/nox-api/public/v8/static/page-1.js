const client = new NOXClient({
  baseUrl: location.origin,
  enablePerformanceMonitoring: true,
  enableWebSockets: true,
});
const find = (id) => document.getElementById(id);

function say(text) {
  find('status').textContent = text;
}

async function showProfile() {
  const profile = await client.getUserProfile();
  find('profile').replaceChildren(
    ...Object.entries(profile).flatMap(([name, value]) => {
      const [term, detail] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      detail.textContent = String(value);
      return [term, detail];
    }),
  );
  for (const id of ['profile', 'logout']) find(id).hidden = false;
  find('providers').hidden = true;
  say(`Signed in with ${profile.provider}.`);
}

async function finishSignIn(query) {
  client.setTokens(await client.exchangeCode(query.get('code'), query.get('provider')));
  history.replaceState(null, '', '/');
  await showProfile();
}

for (const button of document.querySelectorAll('[data-provider]')) {
  button.addEventListener('click', async () => {
    location.assign(await client.getAuthUrl(button.dataset.provider, '/callback'));
  });
}
find('logout').addEventListener('click', async () => {
  await client.logout();
  location.assign('/');
});

const query = new URLSearchParams(location.search);
const task =
  location.pathname === '/callback' && query.has('code')
    ? finishSignIn(query)
    : client.getTokens() && showProfile();
Promise.resolve(task).catch((error) => say(`It did not work: ${error.message}`));
