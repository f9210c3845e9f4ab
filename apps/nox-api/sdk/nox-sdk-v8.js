/* NOX API 8 for browsers. The page loads the minified file; `npm run sdk` makes it from this one. */
(function publish(scope) {
  'use strict';

  const STORAGE_KEY = 'nox_tokens';
  const EARLY_MS = 30_000;
  const RECONNECT_MIN_MS = 500;
  const RECONNECT_MAX_MS = 30_000;

  /** An answer of the API other than success. */
  class NOXError extends Error {
    constructor(status, body) {
      super(body.message || `HTTP ${status}`);
      this.status = status;
      this.code = body.error;
      this.body = body;
    }
  }

  function memoryStorage() {
    const kept = new Map();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    };
  }

  /** Signs in, keeps and renews the tokens, asks the API, listens to events and reports web vitals. */
  class NOXClient {
    /**
     * @param {{baseUrl: string, enablePerformanceMonitoring?: boolean, enableWebSockets?: boolean,
     *          storage?: Storage, fetch?: typeof fetch, WebSocket?: typeof WebSocket}} options
     */
    constructor({
      baseUrl,
      enablePerformanceMonitoring = false,
      enableWebSockets = false,
      storage,
      fetch: fetchWith,
      WebSocket: Socket,
    } = {}) {
      this.baseUrl = String(baseUrl ?? scope.location?.origin ?? '').replace(/\/$/, '');
      this.storage = storage ?? scope.sessionStorage ?? memoryStorage();
      this.fetch = fetchWith ?? scope.fetch.bind(scope);
      this.Socket = Socket ?? scope.WebSocket;
      this.enableWebSockets = enableWebSockets;
      this.listeners = new Map();
      this.renewal = undefined;
      if (enablePerformanceMonitoring) this.observeVitals();
    }

    /** Return the provider's address to send the browser to; it comes back to `redirectPath` with a code. */
    async getAuthUrl(provider, redirectPath, { scope: wanted } = {}) {
      const query = new URLSearchParams();
      if (redirectPath) query.set('redirect', redirectPath);
      if (wanted) query.set('scope', wanted);
      const { url } = await this.request('GET', `/api/auth/${encodeURIComponent(provider)}/url?${query}`);
      return url;
    }

    /** Trade the code of the callback for tokens; the state is read from the page's address. */
    async exchangeCode(
      code,
      provider,
      state = new URLSearchParams(scope.location?.search ?? '').get('state'),
    ) {
      return this.request('POST', `/api/auth/${encodeURIComponent(provider)}/callback`, {
        code,
        ...(state ? { state } : {}),
      });
    }

    /** Keep the tokens of a sign-in or a renewal. */
    setTokens(tokens) {
      const expiresAt = Date.now() + tokens.expires_in * 1000;
      this.storage.setItem(STORAGE_KEY, JSON.stringify({ ...tokens, expires_at: expiresAt }));
      if (this.enableWebSockets) this.connect().catch(() => {});
    }

    getTokens() {
      const text = this.storage.getItem(STORAGE_KEY);
      return text ? JSON.parse(text) : undefined;
    }

    clearTokens() {
      this.storage.removeItem(STORAGE_KEY);
      this.disconnect();
    }

    async getUserProfile() {
      return (await this.authenticatedFetch('/api/user/profile')).json();
    }

    async analyzeSecurity(requestData) {
      return (
        await this.authenticatedFetch('/api/ai/security/analyze', {
          method: 'POST',
          body: JSON.stringify({ request_data: requestData }),
        })
      ).json();
    }

    async logout() {
      await this.authenticatedFetch('/api/auth/logout', { method: 'POST' });
      this.clearTokens();
    }

    /** Fetch with the access token; renews it before it ends, and once more when the API refuses it. */
    async authenticatedFetch(path, options = {}) {
      const tokens = this.getTokens();
      if (tokens?.refresh_token && tokens.expires_at - EARLY_MS < Date.now()) await this.refresh();
      let response = await this.send(path, options);
      if (response.status === 401 && this.getTokens()?.refresh_token) {
        await this.refresh();
        response = await this.send(path, options);
      }
      if (!response.ok) throw new NOXError(response.status, await response.json().catch(() => ({})));
      return response;
    }

    /** Renew the tokens. Callers at the same time share one renewal: a refresh token works once. */
    refresh() {
      this.renewal ??= this.renew().finally(() => {
        this.renewal = undefined;
      });
      return this.renewal;
    }

    async renew() {
      try {
        this.setTokens(
          await this.request('POST', '/api/auth/refresh', { refresh_token: this.getTokens()?.refresh_token }),
        );
      } catch (error) {
        if (error.status === 401) this.clearTokens();
        throw error;
      }
    }

    send(path, options) {
      const token = this.getTokens()?.access_token;
      const headers = {
        ...(options.body ? { 'Content-Type': 'application/json' } : {}),
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...options.headers,
      };
      return this.fetch(this.baseUrl + path, { ...options, headers });
    }

    async request(method, path, body) {
      const response = await this.fetch(this.baseUrl + path, {
        method,
        credentials: 'include',
        ...(body ? { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {}),
      });
      const answer = await response.json().catch(() => ({}));
      if (!response.ok) throw new NOXError(response.status, answer);
      return answer;
    }

    /** Call `listener(message)` for every event of that type; `open` and `close` are types too. */
    on(type, listener) {
      this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener]);
      return this;
    }

    emit(type, message) {
      for (const listener of this.listeners.get(type) ?? []) listener(message);
    }

    /** Open the WebSocket with a fresh ticket; it comes back by itself after the server went away. */
    async connect(attempt = 0) {
      if (this.socket) return;
      const { url } = await (
        await this.authenticatedFetch('/api/websocket/connect', { method: 'POST' })
      ).json();
      if (this.socket) return;
      const socket = new this.Socket(url);
      this.socket = socket;
      let tries = attempt;
      socket.onopen = () => {
        tries = 0;
        this.emit('open');
      };
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        this.emit(message.type, message);
      };
      socket.onclose = ({ code }) => {
        if (this.socket !== socket) return;
        this.socket = undefined;
        this.emit('close', { code });
        this.reconnect(tries + 1);
      };
    }

    reconnect(attempt) {
      const longest = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** attempt);
      setTimeout(
        () => this.connect(attempt).catch(() => this.getTokens() && this.reconnect(attempt + 1)),
        Math.random() * longest,
      );
    }

    disconnect() {
      const { socket } = this;
      this.socket = undefined;
      socket?.close(1000);
    }

    /** Send figures: `[{name, value, unit}]`. */
    async reportMetrics(metrics) {
      this.session ??= scope.crypto.randomUUID();
      return this.request('POST', '/api/performance/metrics', { session_id: this.session, metrics });
    }

    observeVitals() {
      const { PerformanceObserver, document } = scope;
      if (!PerformanceObserver || !document) return;
      const found = new Map();
      const observe = (type, read) => {
        try {
          new PerformanceObserver((list) => list.getEntries().forEach(read)).observe({
            type,
            buffered: true,
          });
        } catch {
          // a browser that does not know the entry type has nothing to report for it
        }
      };
      observe('largest-contentful-paint', (entry) =>
        found.set('LCP', { value: entry.startTime, unit: 'ms' }),
      );
      observe(
        'layout-shift',
        (entry) =>
          entry.hadRecentInput ||
          found.set('CLS', { value: (found.get('CLS')?.value ?? 0) + entry.value, unit: 'score' }),
      );
      observe('navigation', (entry) => found.set('TTFB', { value: entry.responseStart, unit: 'ms' }));
      observe(
        'paint',
        (entry) =>
          entry.name === 'first-contentful-paint' && found.set('FCP', { value: entry.startTime, unit: 'ms' }),
      );
      document.addEventListener('visibilitychange', () => {
        if (document.visibilityState !== 'hidden' || found.size === 0) return;
        const metrics = [...found].map(([name, figure]) => ({ name, ...figure }));
        found.clear();
        this.reportMetrics(metrics).catch(() => {});
      });
    }
  }

  scope.NOXClient = NOXClient;
  scope.NOXError = NOXError;
})(globalThis);
