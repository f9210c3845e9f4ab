/** An answer other than success, thrown from anywhere below a route. */
export class HttpError extends Error {
  /**
   * @param {number} status
   * @param {string} code a stable word for programs
   * @param {string} message a sentence for people
   * @param {{headers?: object, details?: object, cause?: Error}} [more] `details` join the body
   */
  constructor(status, code, message, { headers = {}, details = {}, cause } = {}) {
    super(message, { cause });
    this.status = status;
    this.code = code;
    this.headers = headers;
    this.details = details;
  }

  /** The body that is sent. */
  get body() {
    return { error: this.code, message: this.message, ...this.details };
  }
}
