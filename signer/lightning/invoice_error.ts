/** Why a text is no invoice (BOLT 11 or 12) that could be paid. It never contains the invoice. */
export class InvoiceError extends Error {
  override readonly name = 'InvoiceError';
}
