using System.Text.Json;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>What each type of step does.</summary>
internal sealed class StepActions
{
    private const int MaxDepth = 8;

    private readonly Flow _flow;
    private readonly FlowBoard _board;
    private readonly FlowProgress _progress;
    private readonly StepRunner _runner;
    private readonly AgentCalls _agents;
    private readonly ToolCalls _tools;
    private readonly IWorkflowSource _workflows;
    private readonly Strands _strands;
    private readonly Waiting _waiting;
    private readonly Patterns _patterns;

    public StepActions(Flow flow, FlowBoard board, FlowProgress progress, StepRunner runner, AgentCalls agents, ToolCalls tools, IWorkflowSource workflows)
    {
        (_flow, _board, _progress, _runner, _agents, _tools, _workflows) = (flow, board, progress, runner, agents, tools, workflows);
        _strands = new Strands(flow, board, runner, agents);
        _waiting = new Waiting(flow);
        _patterns = new Patterns(flow, board, progress, agents);
    }

    /// <summary>One attempt.</summary>
    /// <exception cref="StepException">It failed.</exception>
    public async Task<JsonElement?> ExecuteAsync(Step step, StepContext context, string path, StepRecord record)
    {
        // What is inside is tried anew with each attempt at what holds it.
        StepContext inside = context with { Path = record.Attempt == 1 ? path : $"{path}#{record.Attempt}" };
        switch (step)
        {
            case SwitchStep choice:
                SwitchCase? taken = choice.Cases.FirstOrDefault(c => c.When.Evaluate(context.Scope(_flow.Run, record.StartedAt)));
                IReadOnlyList<Step> block = taken?.Steps ?? choice.Default ?? [];
                return await _runner.BlockAsync(block, inside.Inside(taken?.Key ?? SwitchStep.DefaultKey));
            case ParallelStep parallel:
                return await _strands.ParallelAsync(parallel, inside);
            case MapStep map:
                return await _strands.MapAsync(map, inside, record);
            case LoopStep loop:
                return await LoopAsync(loop, inside, record);
            case SubworkflowStep sub:
                return await SubworkflowAsync(sub, inside, path, record);
            case GroupChatStep or DebateStep or PlanStep or HandoffStep:
                return await _patterns.RunAsync(step, inside with { Path = path }, record);
        }
        if (context.LogOnly) throw new LogEndsException();
        return step switch
        {
            AgentStep agent => await _agents.AskAsync($"{path}/agent", context, agent.Agent, agent.Message.Evaluate(context.Scope(_flow.Run, record.StartedAt)), agent.Variables?.Evaluate(context.Scope(_flow.Run, record.StartedAt))),
            ToolStep tool => await _tools.CallAsync(tool, context, path, record),
            HumanStep human => await _waiting.HumanAsync(human, context, path, record),
            WaitStep wait => await _waiting.WaitAsync(wait, context, path, record),
            TransformStep transform => transform.Output.Evaluate(context.Scope(_flow.Run, record.StartedAt)),
            EndStep end => end.Output?.Evaluate(context.Scope(_flow.Run, record.StartedAt)),
            _ => throw new StepException("step_unknown", $"Steps of type '{step.Type}' cannot be executed.", retryable: false),
        };
    }

    private async Task<JsonElement?> LoopAsync(LoopStep loop, StepContext context, StepRecord record)
    {
        JsonElement? last = null;
        ProgressGuard? guard = FlowProgress.Guards(loop) ? _progress.Rounds() : null;
        for (int i = 0; i < loop.MaxIterations; i++)
        {
            StepContext iteration = context.Inside(i.ToString(System.Globalization.CultureInfo.InvariantCulture)).With("iteration", i);
            if (loop.While is { } condition && !condition.Evaluate((await _board.SeeAsync($"{iteration.Path}#while", iteration)).Scope(_flow.Run, record.StartedAt))) break;
            last = await _runner.BlockAsync(loop.Steps, iteration);
            if (loop.Until is { } until && until.Evaluate((await _board.SeeAsync($"{iteration.Path}#until", iteration)).Scope(_flow.Run, record.StartedAt))) break;
            if (guard is not null) await _progress.CheckAsync(guard, context, iteration);
        }
        return last;
    }

    private async Task<JsonElement?> SubworkflowAsync(SubworkflowStep step, StepContext context, string path, StepRecord record)
    {
        string tenantId = _flow.Run.TenantId;
        if (record.Subworkflow is null && context.LogOnly) throw new LogEndsException();
        WorkflowVersion workflow = (record.Subworkflow is { } known ? await _workflows.FindVersionAsync(tenantId, known.Id, known.Version, context.Token)
            : await _workflows.FindAsync(tenantId, step.Workflow.Slug, step.Workflow.Selector, context.Token))
            ?? throw new StepException(StepCodes.WorkflowNotFound, $"There is no workflow '{step.Workflow}'.", retryable: false);
        if (context.Workflows.Count >= MaxDepth) throw new StepException(StepCodes.LimitReached, $"Workflows run workflows {MaxDepth} deep: {string.Join(" > ", context.Workflows)}.", retryable: false);
        JsonElement inputs = step.Inputs?.Evaluate(context.Scope(_flow.Run, record.StartedAt)) ?? JsonSerializer.SerializeToElement(new { });
        if (workflow.Definition.Inputs is { } shape && shape.Check(inputs) is { Count: > 0 } problems)
            throw new StepException(StepCodes.InvalidInput, $"The inputs do not fit workflow '{workflow.Slug}': {string.Join("; ", problems)}.", retryable: false);
        if (record.Subworkflow is null)
        {
            record.Subworkflow = (workflow.Id, workflow.Version);
            _flow.Journal.Add(RunEventTypes.SubworkflowStarted, path, workflow, static (json, w) =>
            {
                json.WriteString("workflowId"u8, w.Id);
                json.WriteString("workflow"u8, w.Slug);
                json.WriteNumber("version"u8, w.Version);
            });
        }
        StepContext own = new()
        {
            Path = context.Of(workflow.Slug),
            Inputs = inputs,
            Frame = new Frame(null),
            LogOnly = context.LogOnly,
            Deadline = context.Deadline,
            Meter = context.Meter,
            Workflows = context.Workflows.Add(workflow.Slug),
            Token = context.Token,
            InPlaceOf = context.InPlaceOf,
        };
        try
        {
            JsonElement? last = await _runner.BlockAsync(workflow.Definition.Steps, own);
            return workflow.Definition.Output?.Evaluate((await _board.SeeAsync($"{own.Path}#output", own)).Scope(_flow.Run, record.StartedAt)) ?? last;
        }
        catch (WorkflowEndedException e)
        {
            if (e.Failed) throw new StepException(StepCodes.EndedAsFailed, e.Message, retryable: false);
            return e.Output ?? workflow.Definition.Output?.Evaluate((await _board.SeeAsync($"{own.Path}#output", own)).Scope(_flow.Run, record.StartedAt));
        }
    }
}
