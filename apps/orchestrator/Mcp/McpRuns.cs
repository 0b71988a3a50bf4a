using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Tools.SubRuns;
using MultiAgent.Orchestrator.Workflows.Definitions;

namespace MultiAgent.Orchestrator.Mcp;

/// <summary>A tenant's agents and workflows for a client of the Model Context Protocol: each call is a run.</summary>
internal sealed class McpRuns(AgentCatalogue agents, WorkflowQueries workflows, SubRunTools tools, ToolRegistry registry, RunEngine engine, RunOutcomes outcomes, IRunStore store, TimeProvider time)
{
    private const int MaxListed = 1000;

    /// <summary>Sets up a session.</summary>
    /// <param name="caller">Whose tools it has.</param>
    /// <param name="sessionId">Of a session that began elsewhere.</param>
    /// <param name="options">The session's.</param>
    public void Serve(Caller caller, string? sessionId, McpServerOptions options)
    {
        string? session = string.IsNullOrEmpty(sessionId) ? null : sessionId;
        options.Capabilities = new ServerCapabilities { Tools = new ToolsCapability() };
        options.Handlers = new McpServerHandlers
        {
            ListToolsHandler = async (request, token) =>
            {
                session ??= request.Server.SessionId;
                return new ListToolsResult { Tools = [.. (await ListAsync(caller.TenantId, token)).Select(Describe)] };
            },
            CallToolHandler = async (request, token) =>
            {
                session ??= request.Server.SessionId;
                return await CallAsync(caller, request, token);
            },
            // The call may be running in another replica.
            NotificationHandlers = [new(NotificationMethods.CancelledNotification, async (notification, _) =>
            {
                if (session is null || notification.Params?["requestId"]?.ToString() is not { } id) return;
                if (await store.FindByKeyAsync(caller.TenantId, Key(session, id)) is { IsFinal: false } run) await engine.CancelAsync(caller.TenantId, run.Id, StopCause.Requested);
            })],
        };
    }

    private async Task<IReadOnlyList<ISubRunTool>> ListAsync(string tenantId, CancellationToken cancellationToken)
    {
        var result = new List<ISubRunTool>();
        foreach (var agent in await agents.ListAsync(tenantId, cancellationToken))
            if (await tools.FindRunAsync(tenantId, $"agent/{agent.Slug}", cancellationToken) is { } tool) result.Add(tool);
        string? after = null;
        do
        {
            Page<WorkflowView> page = await workflows.ListAsync(tenantId, new PageRequest(PageRequest.MaxLimit, after), cancellationToken);
            foreach (WorkflowView workflow in page.Data)
                if (await tools.FindRunAsync(tenantId, $"workflow/{workflow.Slug}", cancellationToken) is { } tool) result.Add(tool);
            after = page.NextCursor is null ? null : page.Data[^1].Slug;
        }
        while (after is not null && result.Count < MaxListed * 2);
        return result;
    }

    private async Task<ISubRunTool?> FindAsync(string tenantId, string name, CancellationToken cancellationToken)
    {
        string[] parts = name.Split("__", 2);
        if (parts.Length == 2 && parts[0] is "agent" or "workflow" && await tools.FindRunAsync(tenantId, $"{parts[0]}/{parts[1]}", cancellationToken) is { } tool && tool.WireName == name) return tool;
        // One whose name had to be cut.
        return name.Length < 64 ? null : (await ListAsync(tenantId, cancellationToken)).FirstOrDefault(t => t.WireName == name);
    }

    private async Task<CallToolResult> CallAsync(Caller caller, RequestContext<CallToolRequestParams> request, CancellationToken cancellationToken)
    {
        string name = request.Params?.Name ?? "";
        if (await FindAsync(caller.TenantId, name, cancellationToken) is not { } tool) throw new McpProtocolException($"There is no tool '{name}'.", McpErrorCode.InvalidParams);
        string given = JsonSerializer.Serialize(request.Params!.Arguments ?? new Dictionary<string, JsonElement>());
        if (registry.Check(tool, given, out JsonElement arguments) is { } problem) return Text(problem, isError: true);
        try
        {
            SubRunTarget target = await tool.TargetAsync(caller.TenantId, arguments, cancellationToken);
            string? session = request.Server.SessionId;
            StartedRun started = await engine.StartAsync(new RunRequest
            {
                Caller = caller,
                Agent = target.Agent,
                Workflow = target.Workflow,
                Surface = RunInput.McpSurface,
                Input = target.Input,
                RequestId = Ids.New("req", time),
                IdempotencyKey = session is null ? null : Key(session, request.JsonRpcRequest.Id.ToString()),
                RequestHash = session is null ? null : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{name}\n{given}"))),
            });
            return await AnswerAsync(request, started, cancellationToken);
        }
        catch (ToolException e)
        {
            return Text(e.Message, isError: true);
        }
        catch (ApiException e)
        {
            return Text($"{e.Message} ({e.Code})", isError: true);
        }
    }

    private async Task<CallToolResult> AnswerAsync(RequestContext<CallToolRequestParams> request, StartedRun started, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task telling = request.Params!.ProgressToken is { } token ? TellAsync(request.Server, token, started.Run, over.Token) : Task.CompletedTask;
        try
        {
            RunOutcome outcome = await outcomes.WaitAsync(started, cancellationToken) ?? throw new McpException($"The server is stopping. Run {started.Run.Id} goes on at its next start.");
            ToolResult result = SubRunCalls.Result(outcome);
            CallToolResult answer = Text(result.Text, result.IsError);
            if (!result.IsError && outcome.Run.Output is { } output && JsonSerializer.Deserialize<JsonElement>(output) is { ValueKind: JsonValueKind.Object } value) answer.StructuredContent = value;
            return answer;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await engine.CancelAsync(started.Run.TenantId, started.Run.Id, StopCause.Requested);
            throw;
        }
        finally
        {
            await over.CancelAsync();
            await telling;
        }
    }

    /// <summary>Tells what happens in a run while it does. It is read from the log, wherever the run is worked on.</summary>
    private async Task TellAsync(McpServer server, ProgressToken token, RunRecord run, CancellationToken cancellationToken)
    {
        try
        {
            for (long seen = 0; ; await Task.Delay(RunOutcomes.Pause, time, cancellationToken))
            {
                foreach (RunEvent e in await store.EventsAsync(run.TenantId, run.Id, seen, 200))
                {
                    seen = e.Seq;
                    if (Words(e) is { } words) await server.NotifyProgressAsync(token, new ProgressNotificationValue { Progress = e.Seq, Message = words }, cancellationToken: cancellationToken);
                    if (RunEventTypes.IsFinal(e.Type)) return;
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or InvalidOperationException or StorageUnavailableException)
        {
            // The answer is there, or nobody listens: what is left to tell is of no interest.
        }
    }

    private static string? Words(RunEvent e)
    {
        using var document = JsonDocument.Parse(e.Data, new JsonDocumentOptions { MaxDepth = 1002 });
        string? Member(string name) => document.RootElement.TryGetProperty(name, out JsonElement value) ? value.ToString() : null;
        return e.Type switch
        {
            RunEventTypes.Started => $"Run {Member("runId")} has started",
            RunEventTypes.StepStarted => $"Step {Member("step")} ({Member("kind")})",
            RunEventTypes.ToolCallIntended => $"Calling {Member("name")}",
            RunEventTypes.ToolCallCompleted => $"{Member("name")} has answered",
            RunEventTypes.Waiting => "Waiting for a person, an event or a time",
            RunEventTypes.Completed => "Completed",
            RunEventTypes.Failed => "Failed",
            RunEventTypes.Cancelled => "Cancelled",
            _ => null,
        };
    }

    private static Tool Describe(ISubRunTool tool) => new()
    {
        Name = tool.WireName,
        Title = tool.Name,
        Description = tool.Description,
        InputSchema = JsonSerializer.Deserialize<JsonElement>(tool.ParametersSchema),
        // What an agent or a workflow does depends on its tools.
        Annotations = new ToolAnnotations { ReadOnlyHint = false, OpenWorldHint = true },
    };

    private static CallToolResult Text(string text, bool isError) => new() { Content = [new TextContentBlock { Text = text }], IsError = isError };

    private static string Key(string session, string requestId) => $"mcp:{session}:{requestId}";
}
