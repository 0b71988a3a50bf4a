using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>Starts runs through the engine, under the id and the key that follow from the firing.</summary>
internal sealed class FiringStarter(RunEngine engine, IRunStore runs, AgentCatalogue agents, IWorkflowSource workflows, TimeProvider time) : IFiringStarter
{
    public async ValueTask<bool> IsStartedAsync(Firing firing) => await runs.FindAsync(firing.TenantId, firing.RunId) is not null;

    public async ValueTask<string?> StartAsync(Schedule schedule, Firing firing, CancellationToken cancellationToken)
    {
        ScheduleSpec spec = schedule.Spec;
        CompiledAgent? agent = null;
        WorkflowVersion? workflow = null;
        if (spec.Agent is { } reference)
        {
            if ((agent = await agents.FindAsync(schedule.TenantId, reference, cancellationToken)) is null) return ErrorCodes.AgentNotFound;
            if (agent.Instructions.Check(spec.Variables).Count > 0) return ErrorCodes.ValidationFailed;
        }
        else
        {
            string[] parts = spec.Workflow!.Split('@', 2);
            if ((workflow = await workflows.FindAsync(schedule.TenantId, parts[0], parts.Length > 1 ? parts[1] : null, cancellationToken)) is null) return ErrorCodes.WorkflowNotFound;
            if (workflow.Definition.Inputs is { } shape && shape.Check(spec.Inputs ?? Empty).Count > 0) return ErrorCodes.ValidationFailed;
        }
        var metadata = new Dictionary<string, string>(spec.Metadata ?? new Dictionary<string, string>()) { ["schedule"] = schedule.Id };
        await engine.StartAsync(new RunRequest
        {
            RunId = firing.RunId,
            Caller = new Caller { TenantId = schedule.TenantId, TenantSlug = "", UserId = schedule.UserId, ApiKeyId = schedule.ApiKeyId, Scopes = Scopes.None },
            Agent = agent,
            Workflow = workflow,
            Surface = RunInput.ScheduleSurface,
            Input = new RunInput
            {
                Message = agent is null ? null : spec.Message,
                MessageId = agent is null ? null : Ids.New("msg", time),
                Variables = spec.Variables,
                Inputs = workflow is null ? null : spec.Inputs ?? Empty,
                Stream = false,
            },
            RequestId = Ids.New("req", time),
            IdempotencyKey = $"schedule:{firing.Id}",
            RequestHash = "schedule",
            Metadata = JsonSerializer.Serialize(metadata, ConversationJson.Default.IReadOnlyDictionaryStringString),
        });
        return null;
    }

    public async ValueTask CancelAsync(string tenantId, string runId) => await engine.CancelAsync(tenantId, runId, StopCause.Requested);

    private static JsonElement Empty { get; } = JsonSerializer.SerializeToElement(new { });
}
