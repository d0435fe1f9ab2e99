/** Where the jobs of one call wait for one another: none is written before all have been checked. */
export class Gate {
  private missing: number;
  private refusal: { readonly error: unknown } | null = null;
  private open!: () => void;
  private readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });

  constructor(jobs: number) {
    this.missing = jobs;
  }

  /** What refused all of them, if anything did. */
  get refused(): { readonly error: unknown } | null {
    return this.refusal;
  }

  /** Resolves when every other one is here, or will not come. @throws what refused all of them. */
  async arrive(): Promise<void> {
    this.leave();
    await this.opened;
    if (this.refusal !== null) throw this.refusal.error;
  }

  /** One fewer is waited for. */
  leave(): void {
    this.missing--;
    if (this.missing === 0) this.open();
  }

  /** None is to be written. The first reason stays. */
  refuse(error: unknown): void {
    this.refusal ??= { error };
  }
}
