/** IndexedDB's requests and transactions as promises. */

/** Waits for a request's result; the transaction stays open until the code behind `await` has asked for more. */
export function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error ?? new Error('the request failed')));
  });
}

/** Waits until everything a transaction did is durable. */
export function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve());
    transaction.addEventListener('abort', () => reject(transaction.error ?? new Error('the transaction was aborted')));
  });
}

/** Undoes what a transaction did, if the browser has not done so already. */
export function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It throws where the transaction has ended: then nothing was kept.
  }
}
