using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.A2A;

/// <summary>/a2a/{slug}: each agent of the tenant as an agent of the Agent2Agent protocol, version 1.0 and the names of 0.3, over JSON-RPC.</summary>
internal static class A2aEndpoints
{
    public static void MapA2a(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/a2a/{slug}").WithTags("A2A").RequireScope(Scopes.RunsWrite);
        group.MapGet("/.well-known/agent-card.json", CardAsync).RequireScope(Scopes.AgentsRead).WithSummary("The agent's card");
        group.MapPost("", CallAsync).DisableRequestTimeout().WithSummary("Send a message, and read, follow, list and cancel tasks, by JSON-RPC 2.0");
    }

    private static async Task<Results<ContentHttpResult, ProblemHttpResult>> CardAsync(HttpContext http, string slug, AgentCatalogue agents, CancellationToken cancellationToken)
    {
        if (await agents.FindUnboundAsync(http.GetCaller().TenantId, slug, cancellationToken) is not { } agent) return Missing(slug);
        // Behind the gateway the address is the one that the client called.
        string scheme = http.Request.Headers["X-Forwarded-Proto"].FirstOrDefault() is "http" or "https" ? http.Request.Headers["X-Forwarded-Proto"].ToString() : http.Request.Scheme;
        string host = http.Request.Headers["X-Forwarded-Host"].FirstOrDefault() is { Length: > 0 } forwarded ? forwarded : http.Request.Host.Value ?? "localhost";
        return TypedResults.Text(Card(agent, $"{scheme}://{host}/a2a/{slug}").ToJsonString(), "application/json; charset=utf-8");
    }

    private static async Task<IResult> CallAsync(HttpContext http, string slug, AgentCatalogue agents, A2aTasks tasks, RunEngine engine, CancellationToken cancellationToken)
    {
        JsonElement? id = null;
        try
        {
            JsonElement body = await ReadAsync(http, cancellationToken);
            id = A2aRequest.IdOf(body);
            string version = http.Request.Headers["A2A-Version"].ToString();
            if (version is not ("" or "1.0" or "0.3")) throw new A2aException(A2aErrors.VersionNotSupported, "The versions 1.0 and 0.3 are spoken here.");
            A2aRequest request = A2aRequest.Read(body);
            Caller caller = http.GetCaller();
            if (await agents.FindAsync(caller.TenantId, slug, cancellationToken) is not { } agent) return Missing(slug);
            switch (request.Method)
            {
                case "SendMessage":
                    return Answer(A2aWire.Result(id, await tasks.SendAsync(caller, agent, request, http.GetRequestId(), cancellationToken)));
                case "SendStreamingMessage":
                    return new A2aStream(await tasks.StartAsync(caller, agent, A2aMessage.Read(request.Params), stream: true, http.GetRequestId()), request);
                case "GetTask":
                    return Answer(A2aWire.Result(id, await tasks.GetAsync(caller, agent, request)));
                case "ListTasks":
                    return Answer(A2aWire.Result(id, await tasks.ListAsync(caller, agent, request)));
                case "CancelTask":
                    return Answer(A2aWire.Result(id, await tasks.CancelAsync(caller, agent, request, cancellationToken)));
                case "SubscribeToTask":
                    RunRecord run = await tasks.FindAsync(caller, agent, request.TaskId());
                    return run.IsFinal ? throw new A2aException(A2aErrors.UnsupportedOperation, "The task has ended: there is nothing to follow.") : new A2aStream(await engine.LookAsync(run), request);
                case "CreateTaskPushNotificationConfig" or "GetTaskPushNotificationConfig" or "ListTaskPushNotificationConfigs" or "DeleteTaskPushNotificationConfig":
                    throw new A2aException(A2aErrors.PushNotSupported, "This agent sends no push notifications.");
                case "GetExtendedAgentCard":
                    throw new A2aException(A2aErrors.NoExtendedCard, "The card says everything.");
                default:
                    throw new A2aException(A2aErrors.MethodNotFound, $"There is no method '{request.Method}'.");
            }
        }
        catch (A2aException e)
        {
            return Answer(A2aWire.Error(id, e.Code, e.Message));
        }
        catch (ApiException e)
        {
            if (e.RetryAfter is { } pause) http.Response.Headers.RetryAfter = ((int)Math.Ceiling(pause.TotalSeconds)).ToString(System.Globalization.CultureInfo.InvariantCulture);
            return Answer(A2aWire.Error(id, A2aErrors.Refused, e.Message, e.Code));
        }
    }

    private static async Task<JsonElement> ReadAsync(HttpContext http, CancellationToken cancellationToken)
    {
        try
        {
            using JsonDocument document = await JsonDocument.ParseAsync(http.Request.Body, new JsonDocumentOptions { MaxDepth = 64 }, cancellationToken);
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            throw new A2aException(A2aErrors.Parse, "The body is not valid JSON, or is nested too deep.");
        }
    }

    private static JsonObject Card(CompiledAgent agent, string url) => new()
    {
        ["name"] = agent.Spec.Name ?? agent.Slug,
        ["description"] = agent.Spec.Description ?? agent.Spec.Name ?? agent.Slug,
        ["version"] = agent.Version.ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["supportedInterfaces"] = new JsonArray(
            new JsonObject { ["url"] = url, ["protocolBinding"] = "JSONRPC", ["protocolVersion"] = "1.0" },
            new JsonObject { ["url"] = url, ["protocolBinding"] = "JSONRPC", ["protocolVersion"] = "0.3" }),
        // Where clients of version 0.3 look.
        ["url"] = url,
        ["preferredTransport"] = "JSONRPC",
        ["protocolVersion"] = "0.3.0",
        ["capabilities"] = new JsonObject { ["streaming"] = true, ["pushNotifications"] = false, ["extendedAgentCard"] = false },
        ["defaultInputModes"] = new JsonArray("text/plain", "application/json"),
        ["defaultOutputModes"] = new JsonArray("text/plain"),
        ["skills"] = new JsonArray(new JsonObject { ["id"] = agent.Slug, ["name"] = agent.Spec.Name ?? agent.Slug, ["description"] = agent.Spec.Description ?? agent.Spec.Name ?? agent.Slug, ["tags"] = new JsonArray("agent") }),
        ["securitySchemes"] = new JsonObject { ["bearer"] = new JsonObject { ["httpAuthSecurityScheme"] = new JsonObject { ["scheme"] = "Bearer" } } },
        ["securityRequirements"] = new JsonArray(new JsonObject { ["schemes"] = new JsonObject { ["bearer"] = new JsonObject { ["list"] = new JsonArray() } } }),
    };

    private static ContentHttpResult Answer(JsonObject answer) => TypedResults.Text(answer.ToJsonString(), "application/json; charset=utf-8");

    private static ProblemHttpResult Missing(string slug) => Problems.Of(404, ErrorCodes.AgentNotFound, $"Agent '{slug}' was not found.");
}
