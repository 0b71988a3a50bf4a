using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs.Waits;

namespace MultiAgent.Orchestrator.Runs.Approvals;

/// <summary>A call that waits for a person.</summary>
/// <param name="Call">As the model wants it.</param>
/// <param name="IdempotencyKey">What it is made with, once it may be.</param>
/// <param name="WaitId">The question.</param>
/// <param name="ExpiresAt">When it is given up.</param>
internal sealed record PendingCall(ToolCall Call, string IdempotencyKey, string WaitId, DateTimeOffset ExpiresAt)
{
    /// <summary>The question to a person about a planned call.</summary>
    public static (PendingCall Call, RunWait Wait) Ask(RunRecord run, PlannedCall planned, ApprovalRule rule, DateTimeOffset now)
    {
        var wait = new RunWait
        {
            Id = Ids.New("wait", now),
            TenantId = run.TenantId,
            RunId = run.Id,
            Path = planned.IdempotencyKey,
            Kind = WaitKind.Human,
            Role = rule.Role,
            Title = $"{run.Agent} wants to call {planned.Call.Name}",
            Form = planned.Tool!.Tool.ParametersSchema,
            Subject = new ApprovalSubject(planned.Call.Name, planned.Call.Id, planned.Arguments, ApprovalSubject.HashOf(planned.Call.Arguments)).ToJson(),
            RequestedAt = now,
            ExpiresAt = now + rule.Expires,
            EscalateAt = now + rule.Escalation?.After,
            EscalateRole = rule.Escalation?.Role,
        };
        return (new PendingCall(planned.Call, planned.IdempotencyKey, wait.Id, now + rule.Expires), wait);
    }

    /// <summary>The call that a decision lets be made; null when it is not to be made.</summary>
    /// <param name="resolution">Null when the time was up.</param>
    public ToolCall? Allowed(WaitResolution? resolution) => resolution?.Decision switch
    {
        "approve" => Call,
        "edit" => Call with { Arguments = resolution.Data! },
        _ => null,
    };

    /// <summary>What the model reads instead of a result, when the call is not made.</summary>
    public static CallResult Refused(WaitResolution? resolution) => resolution switch
    {
        null => new CallResult("Nobody agreed to this call in time. It was not made.", true),
        { Decision: "answer", Data: { } data } => new CallResult(TextOf(data), false),
        _ => new CallResult($"A person refused this call{(string.IsNullOrWhiteSpace(resolution.Comment) ? "" : $": {resolution.Comment}")}. It was not made; do not try it again.", true),
    };

    /// <summary>The result of a call whose arguments a person has changed, so that the model knows what was done.</summary>
    public static CallResult Edited(ToolCall made, CallResult result) => result with { Text = ToolRunner.Bound($"A person changed the arguments to {made.Arguments}\n{result.Text}") };

    private static string TextOf(string json)
    {
        using var document = System.Text.Json.JsonDocument.Parse(json);
        return document.RootElement.ValueKind == System.Text.Json.JsonValueKind.String ? document.RootElement.GetString()! : json;
    }
}
