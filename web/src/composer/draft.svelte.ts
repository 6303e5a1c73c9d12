/** What somebody is writing. Sent again after a failure, the same text is the same request, and is done once. */
import { newKey } from '../client/post';

export class Draft {
  text = $state('');
  trouble = $state('');
  sending = $state(false);
  #sent = { text: '', key: '' };

  /** Send the text as it stands, and clear it when that has worked. */
  async send(post: (text: string, key: string) => Promise<void>): Promise<void> {
    const text = this.text;
    if (this.#sent.text !== text) this.#sent = { text, key: newKey() };
    this.sending = true;
    this.trouble = '';
    try {
      await post(text, this.#sent.key);
      if (this.text === text) this.text = '';
      this.#sent = { text: '', key: '' };
    } catch (error) {
      this.trouble = `Not sent: ${(error as Error).message}`;
    } finally {
      this.sending = false;
    }
  }
}
