using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Storage;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>
/// A host's plug to its stores of runs and leases. Pulled, nothing comes through any more, neither writes nor the renewing of leases: to everybody
/// else the process is dead. Put in again, it is one that was paused for long and knows nothing of it.
/// </summary>
internal sealed class Plug
{
    private volatile TaskCompletionSource _in = Done();

    public void Pull() => _in = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void PutIn() => _in.TrySetResult();

    public Task ThroughAsync() => _in.Task;

    public void AddTo(IServiceCollection services)
    {
        services.AddSingleton<IRunStore>(s => new Store(this, ActivatorUtilities.CreateInstance<PostgresRunStore>(s)));
        services.AddSingleton<IRunLeases>(s => new Leases(this, ActivatorUtilities.CreateInstance<PostgresRunLeases>(s)));
    }

    private static TaskCompletionSource Done()
    {
        var done = new TaskCompletionSource();
        done.SetResult();
        return done;
    }

    private async Task<T> PassAsync<T>(Func<Task<T>> call)
    {
        await ThroughAsync();
        return await call();
    }

    private async Task PassAsync(Func<Task> call)
    {
        await ThroughAsync();
        await call();
    }

    private sealed class Store(Plug plug, IRunStore inner) : IRunStore
    {
        public Task<AcceptOutcome> AcceptAsync(NewRun run) => plug.PassAsync(() => inner.AcceptAsync(run));
        public Task AppendAsync(RunWrite write) => plug.PassAsync(() => inner.AppendAsync(write));
        public Task<StartedNext?> StartNextAsync(string tenantId, string conversationId, DateTimeOffset now) => plug.PassAsync(() => inner.StartNextAsync(tenantId, conversationId, now));
        public Task<bool> CancelQueuedAsync(RunWrite write) => plug.PassAsync(() => inner.CancelQueuedAsync(write));
        public async ValueTask<RunRecord?> FindAsync(string tenantId, string runId) => await plug.PassAsync(() => inner.FindAsync(tenantId, runId).AsTask());
        public async ValueTask<RunRecord?> FindByKeyAsync(string tenantId, string idempotencyKey) => await plug.PassAsync(() => inner.FindByKeyAsync(tenantId, idempotencyKey).AsTask());
        public async ValueTask<IReadOnlyList<RunEvent>> EventsAsync(string tenantId, string runId, long afterSeq, int limit) => await plug.PassAsync(() => inner.EventsAsync(tenantId, runId, afterSeq, limit).AsTask());
        public async ValueTask<long> LastSeqAsync(string tenantId, string runId) => await plug.PassAsync(() => inner.LastSeqAsync(tenantId, runId).AsTask());

        public async ValueTask<byte[]?> LastEventAsync(string tenantId, string runId, string type) => await plug.PassAsync(() => inner.LastEventAsync(tenantId, runId, type).AsTask());
        public async ValueTask<IReadOnlyList<RunRecord>> ListAsync(string tenantId, RunFilter filter, string? beforeId, int limit) => await plug.PassAsync(() => inner.ListAsync(tenantId, filter, beforeId, limit).AsTask());
        public async ValueTask<StoredHistory> HistoryAsync(string tenantId, string conversationId, string exceptRunId, int limit) => await plug.PassAsync(() => inner.HistoryAsync(tenantId, conversationId, exceptRunId, limit).AsTask());
        public Task<int> ForgetKeysAsync(DateTimeOffset before, int batch) => plug.PassAsync(() => inner.ForgetKeysAsync(before, batch));
    }

    private sealed class Leases(Plug plug, IRunLeases inner) : IRunLeases
    {
        public bool IsShared => inner.IsShared;
        public Task<IReadOnlyList<TakenRun>> TakeUpAsync(string owner, TimeSpan lease, int limit) => plug.PassAsync(() => inner.TakeUpAsync(owner, lease, limit));
        public Task<IReadOnlySet<string>> RenewAsync(string owner, TimeSpan lease, IReadOnlyList<string> runIds) => plug.PassAsync(() => inner.RenewAsync(owner, lease, runIds));
        public Task<IReadOnlyList<RunSignal>> SignalsAsync(string owner, IReadOnlyList<string> waiting) => plug.PassAsync(() => inner.SignalsAsync(owner, waiting));
        public Task<bool> RequestCancelAsync(string tenantId, string runId, StopCause cause) => plug.PassAsync(() => inner.RequestCancelAsync(tenantId, runId, cause));
        public Task ReleaseAsync(string owner) => plug.PassAsync(() => inner.ReleaseAsync(owner));
    }
}
