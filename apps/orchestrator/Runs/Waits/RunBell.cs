namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>Rung when a waiting run may go on, so that this process looks at once rather than within a second.</summary>
internal sealed class RunBell : IDisposable
{
    private readonly SemaphoreSlim _rung = new(0, 1);

    public void Ring()
    {
        try
        {
            _rung.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is ringing.
        }
    }

    public Task WaitAsync(CancellationToken cancellationToken) => _rung.WaitAsync(cancellationToken);

    public void Dispose() => _rung.Dispose();
}
