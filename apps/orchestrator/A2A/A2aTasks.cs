using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.A2A;

/// <summary>What the protocol asks of an agent.</summary>
internal sealed class A2aTasks(RunEngine engine, RunOutcomes outcomes, IRunStore store, IConversationStore conversations, TimeProvider time)
{
    private const int MaxPage = 100;
    private static readonly TimeSpan CancelPatience = TimeSpan.FromSeconds(5);

    /// <summary>Starts the task of a message; the same message again is the same task.</summary>
    public async Task<StartedRun> StartAsync(Caller caller, CompiledAgent agent, A2aMessage message, bool stream, string requestId)
    {
        if (message.ContextId is { } context && await conversations.FindAsync(caller.TenantId, context) is null) throw new A2aException(A2aErrors.InvalidParams, "'message.contextId' is not the id of a conversation with this agent. Leave it out to begin one.");
        if (agent.Instructions.Check(null) is { Count: > 0 }) throw new A2aException(A2aErrors.UnsupportedOperation, "This agent needs values for its variables, which a message does not carry.");
        return await engine.StartAsync(new RunRequest
        {
            Caller = caller,
            Agent = agent,
            Surface = RunInput.A2aSurface,
            ConversationId = message.ContextId ?? Ids.New("conv", time),
            Input = new RunInput { Message = message.Text, MessageId = Ids.New("msg", time), Stream = stream, NewConversation = message.ContextId is null },
            RequestId = requestId,
            IdempotencyKey = $"a2a:{agent.Slug}:{message.Id}",
            RequestHash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{message.ContextId}\n{message.Text}"))),
        });
    }

    public async Task<JsonObject> SendAsync(Caller caller, CompiledAgent agent, A2aRequest request, string requestId, CancellationToken cancellationToken)
    {
        A2aMessage message = A2aMessage.Read(request.Params);
        StartedRun started = await StartAsync(caller, agent, message, stream: false, requestId);
        // The client may leave: the run goes on all the same.
        RunOutcome? outcome = started.Outcome ?? (message.Waits ? await outcomes.WaitAsync(started, cancellationToken) : null);
        JsonObject task = A2aWire.Task(outcome?.Run ?? started.Run, outcome?.Message, request.Dialect);
        return request.Dialect == A2aDialect.Current ? new JsonObject { ["task"] = task } : task;
    }

    public async Task<JsonObject> GetAsync(Caller caller, CompiledAgent agent, A2aRequest request) => await TaskAsync(await FindAsync(caller, agent, request.TaskId()), request.Dialect);

    public async Task<JsonObject> CancelAsync(Caller caller, CompiledAgent agent, A2aRequest request, CancellationToken cancellationToken)
    {
        RunRecord run = await FindAsync(caller, agent, request.TaskId());
        if (run.IsFinal || await engine.CancelAsync(caller.TenantId, run.Id, StopCause.Requested) != CancelOutcome.Cancelling) throw new A2aException(A2aErrors.TaskNotCancelable, "The task has ended already.");
        using var limit = new CancellationTokenSource(CancelPatience, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await outcomes.WaitAsync(await engine.LookAsync(run), linked.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It is being cancelled; the client looks again.
        }
        return await TaskAsync(await FindAsync(caller, agent, run.Id), request.Dialect);
    }

    public async Task<JsonObject> ListAsync(Caller caller, CompiledAgent agent, A2aRequest request)
    {
        int size = request.Params.TryGetProperty("pageSize", out JsonElement given) && given.TryGetInt32(out int number) ? number : 50;
        if (size is < 1 or > MaxPage) throw new A2aException(A2aErrors.InvalidParams, $"'pageSize' must be between 1 and {MaxPage}.");
        string? context = A2aRequest.Text(request.Params, "contextId") is { Length: > 0 } conversation ? conversation : null;
        string? after = A2aRequest.Text(request.Params, "pageToken") is { Length: > 0 } token ? token : null;
        if (after is not null && !Ids.IsValid(after, "run")) throw new A2aException(A2aErrors.InvalidParams, "'pageToken' is not of a page of this list.");
        RunStatus? status = null;
        if (A2aRequest.Text(request.Params, "status") is { Length: > 0 } state && state is not ("TASK_STATE_UNSPECIFIED" or "UNRECOGNIZED") && (status = A2aWire.StatusOf(state)) is null) throw new A2aException(A2aErrors.InvalidParams, "'status' is no state of this agent's tasks.");
        bool whole = request.Params.TryGetProperty("includeArtifacts", out JsonElement include) && include.ValueKind == JsonValueKind.True;
        IReadOnlyList<RunRecord> runs = await store.ListAsync(caller.TenantId, new RunFilter(status, agent.Slug, context, Kind: RunKind.Agent), after, size + 1);
        var tasks = new JsonArray();
        foreach (RunRecord run in runs.Take(size)) tasks.Add((JsonNode)(whole ? await TaskAsync(run, request.Dialect) : A2aWire.Task(run, null, request.Dialect)));
        return new JsonObject { ["tasks"] = tasks, ["nextPageToken"] = runs.Count > size ? runs[size - 1].Id : "", ["pageSize"] = size };
    }

    /// <summary>A task of this agent.</summary>
    /// <exception cref="A2aException">The tenant's agent has none of that id.</exception>
    public async Task<RunRecord> FindAsync(Caller caller, CompiledAgent agent, string id) =>
        Ids.IsValid(id, "run") && await store.FindAsync(caller.TenantId, id) is { Kind: RunKind.Agent } run && run.AgentId == agent.Id ? run : throw new A2aException(A2aErrors.TaskNotFound, "There is no such task.");

    public async Task<JsonObject> TaskAsync(RunRecord run, A2aDialect dialect)
    {
        FinalMessage? message = run.IsFinal && await store.LastEventAsync(run.TenantId, run.Id, RunEventTypes.MessageCompleted) is { } data ? FinalMessage.Parse(data) : null;
        return A2aWire.Task(run, message, dialect);
    }
}
