using System.Text.Json;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>Checks what tenants say about schedules, and reports everything that is wrong.</summary>
internal sealed class ScheduleChecks(AgentCatalogue agents, IWorkflowSource workflows)
{
    private const int MaxMessage = 100_000;
    // What fires more often is a load test.
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(10);

    public async ValueTask<Dictionary<string, string[]>> CheckAsync(string tenantId, ScheduleSpec spec, ScheduleSpec? before, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var errors = new Dictionary<string, string[]>();
        if (spec.Name?.Length > 200) errors["name"] = ["may have 200 characters."];
        CheckTimes(spec, before, now, errors);
        if (spec.JitterSeconds is not (null or (>= 0 and <= 3600))) errors["jitterSeconds"] = ["must be between 0 and 3600."];
        if (spec.CatchUp is not (null or "skip" or "one" or "all")) errors["catchUp"] = ["must be 'skip', 'one' or 'all'."];
        if (spec.MaxCatchUp is not (null or (>= 1 and <= 100))) errors["maxCatchUp"] = ["must be between 1 and 100."];
        if (spec.Overlap is not (null or "skip" or "allow" or "queue" or "cancel_previous")) errors["overlap"] = ["must be 'skip', 'allow', 'queue' or 'cancel_previous'."];
        if (spec.Metadata is { } metadata && (metadata.Count > 15 || metadata.Any(m => m.Key.Length > 64 || m.Key == "schedule" || m.Value is null || m.Value.Length > 512)))
            errors["metadata"] = ["may have 15 entries, with names of at most 64 and values of at most 512 characters; 'schedule' is the platform's own."];
        await CheckTargetAsync(tenantId, spec, errors, cancellationToken);
        return errors;
    }

    private static void CheckTimes(ScheduleSpec spec, ScheduleSpec? before, DateTimeOffset now, Dictionary<string, string[]> errors)
    {
        if (spec.Cron is null == spec.At is null)
        {
            errors["cron"] = ["give either 'cron' or 'at'."];
            return;
        }
        if (spec.Cron is null)
        {
            if (spec.TimeZone is not null) errors["timeZone"] = ["goes with 'cron'; 'at' has an offset of its own."];
            if (spec.At <= now && spec.At != before?.At) errors["at"] = ["must be in the future."];
            return;
        }
        if (spec.Cron.Length > 200)
        {
            errors["cron"] = ["may have 200 characters."];
            return;
        }
        if (CronTimes.TryParse(spec.Cron, spec.TimeZone, out (string Member, string Message) error) is not { } cron)
        {
            errors[error.Member] = [error.Message];
            return;
        }
        DateTimeOffset? last = cron.After(now);
        if (last is null) errors["cron"] = ["has no time in the future."];
        for (int i = 0; i < 10 && last is { } time; i++)
        {
            last = cron.After(time);
            if (last - time < Least) errors["cron"] = [$"fires more often than every {Least.TotalSeconds} seconds."];
        }
    }

    private async ValueTask CheckTargetAsync(string tenantId, ScheduleSpec spec, Dictionary<string, string[]> errors, CancellationToken cancellationToken)
    {
        if (spec.Agent is null == spec.Workflow is null)
        {
            errors["agent"] = ["give either 'agent' or 'workflow'."];
            return;
        }
        if (spec.Agent is { } reference)
        {
            if (string.IsNullOrWhiteSpace(spec.Message)) errors["message"] = ["is required with an agent."];
            else if (spec.Message.Length > MaxMessage) errors["message"] = [$"may have {MaxMessage} characters."];
            if (spec.Inputs is not null) errors["inputs"] = ["goes with a workflow."];
            if (await agents.FindAsync(tenantId, reference, cancellationToken) is not { } agent) errors["agent"] = [$"'{reference}' was not found."];
            else if (agent.Instructions.Check(spec.Variables) is { Count: > 0 } wrong) errors["variables"] = [.. wrong];
            return;
        }
        if (spec.Message is not null || spec.Variables is not null) errors["message"] = ["and 'variables' go with an agent; a workflow has 'inputs'."];
        if (spec.Inputs is { } inputs && inputs.ValueKind != JsonValueKind.Object)
        {
            errors["inputs"] = ["must be an object."];
            return;
        }
        string[] parts = spec.Workflow!.Split('@', 2);
        if (await workflows.FindAsync(tenantId, parts[0], parts.Length > 1 ? parts[1] : null, cancellationToken) is not { } workflow) errors["workflow"] = [$"'{spec.Workflow}' was not found."];
        else if (workflow.Definition.Inputs is { } shape && shape.Check(spec.Inputs ?? JsonSerializer.SerializeToElement(new { })) is { Count: > 0 } wrong) errors["inputs"] = [.. wrong];
    }
}
