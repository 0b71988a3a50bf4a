using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Limits;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Takes up unfinished runs when the process starts, and drains the active ones when it stops.</summary>
internal sealed partial class RunRecovery(RunEngine engine, IRunStore store, AgentCatalogue agents, IHostApplicationLifetime lifetime,
    IOptions<HostOptions> host, IOptions<LimitsOptions> limits, TimeProvider time, ILogger<RunRecovery> logger) : IHostedService
{
    private const int Page = 200;

    private Task _draining = Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        lifetime.ApplicationStopping.Register(() => _draining = DrainAsync());
        int count = 0;
        var waiting = new HashSet<(string TenantId, string ConversationId)>();
        string? after = null;
        while (store.Unfinished(after, Page) is { Count: > 0 } page)
        {
            foreach (RunRecord run in page)
            {
                try
                {
                    await TakeUpAsync(run, cancellationToken);
                    if (run is { Status: RunStatus.Queued, ConversationId: not null }) waiting.Add((run.TenantId, run.ConversationId));
                    count++;
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    LogNotResumed(e, run.Id);
                    await FailAsync(run);
                }
            }
            after = page[^1].Id;
        }
        foreach ((string tenantId, string conversationId) in waiting) await engine.StartNextAsync(tenantId, conversationId);
        if (count > 0) LogResumed(count);
    }

    public Task StopAsync(CancellationToken cancellationToken) => _draining.WaitAsync(cancellationToken);

    // The server waits for its open streams at the same time: runs are let go a little before its time is up, so that the streams can end.
    private async Task DrainAsync()
    {
        TimeSpan delay = TimeSpan.FromSeconds(limits.Value.DrainDelaySeconds), all = host.Value.ShutdownTimeout - delay;
        // Until load balancers have noticed, requests still come, and are served.
        await Task.Delay(delay, time);
        using var limit = new CancellationTokenSource(all - TimeSpan.FromTicks(Math.Min(all.Ticks / 4, TimeSpan.FromSeconds(5).Ticks)), time);
        await engine.StopAsync(limit.Token);
    }

    private async Task TakeUpAsync(RunRecord run, CancellationToken cancellationToken)
    {
        CompiledAgent agent = await agents.FindVersionAsync(run.TenantId, run.AgentId, run.AgentVersion, cancellationToken)
            ?? throw new InvalidOperationException($"Version {run.AgentVersion} of agent {run.AgentId} is gone.");
        var events = new List<RunEvent>();
        while (store.Events(run.TenantId, run.Id, events.Count, 1000) is { Count: > 0 } more) events.AddRange(more);
        RunInput input = RunInput.FromEvent(events[0].Data);
        var live = new LiveRun(run, agent, input) { StoredBefore = events.Count, LastProgress = time.GetTimestamp() };
        if (run.Status == RunStatus.Queued)
        {
            engine.Resume(live, null);
            return;
        }
        IEnumerable<ChatMessage> history = RunExecution.History(store, run, input);
        engine.Resume(live, RunReplay.Rebuild(agent, input, history, events));
    }

    // A run that cannot go on must not look as if it did.
    private async Task FailAsync(RunRecord run)
    {
        try
        {
            long last = 0;
            while (store.Events(run.TenantId, run.Id, last, 1000) is { Count: > 0 } events) last = events[^1].Seq;
            RunRecord end = run with { Status = RunStatus.Failed, Error = new RunError(500, ErrorCodes.InternalError, "The run could not be taken up after a restart."), EndedAt = time.GetUtcNow() };
            var log = new RunLog(run, time, last);
            log.Ended(end);
            await store.AppendAsync(new RunWrite { Run = run, Events = log.Take(), End = end, Event = RunEndedEvent.Of(end) });
        }
        catch (Exception e)
        {
            LogNotResumed(e, run.Id);
        }
    }

    [LoggerMessage(EventId = 1, EventName = "RunsResumed", Level = LogLevel.Information, Message = "{Count} unfinished runs were taken up")]
    private partial void LogResumed(int count);

    [LoggerMessage(EventId = 2, EventName = "RunNotResumed", Level = LogLevel.Error, Message = "Run {RunId} could not be taken up")]
    private partial void LogNotResumed(Exception e, string runId);
}
