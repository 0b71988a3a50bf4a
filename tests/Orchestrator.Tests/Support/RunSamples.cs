using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>Runs for tests of stores.</summary>
internal static class RunSamples
{
    public static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public static NewRun Run(string tenant, string? conversation = null, BusyPolicy onBusy = BusyPolicy.Reject, string? key = null, string hash = "h", string text = "hi", TimeSpan? lease = null) => new()
    {
        Record = new RunRecord
        {
            Id = Ids.New("run", At), TenantId = tenant, ConversationId = conversation ?? Ids.New("conv", At), AgentId = "agt_1", Agent = "helper", AgentVersion = 2, Surface = "chat",
            Status = RunStatus.Running, IdempotencyKey = key, RequestHash = key is null ? null : hash, RequestId = "req", ApiKeyId = "key", UserId = "usr", JourneyId = "jrn",
            Metadata = "{}", CreatedAt = At, StartedAt = At, LeaseOwner = "p1",
        },
        Accepted = [Event(1, "a")],
        Started = [Event(2, "b")],
        Messages = [new NewMessage(Ids.New("msg", At), "user", true, Encoding.UTF8.GetBytes($"\"{text}\""), At)],
        CreateConversation = conversation is null,
        Lease = lease ?? TimeSpan.FromMinutes(1),
        OnBusy = onBusy,
        MaxQueued = 2,
    };

    public static RunWrite End(NewRun run) => new()
    {
        Run = run.Record,
        Events = [Event(3, "c")],
        End = run.Record with { Status = RunStatus.Completed, Reason = "why", Steps = 3, CostUsd = 0.25m, EndedAt = At },
    };

    public static RunEvent Event(long seq, string type) => new() { Seq = seq, Type = type, At = At, Data = Encoding.UTF8.GetBytes($"{{\"n\":{seq}}}") };
}
