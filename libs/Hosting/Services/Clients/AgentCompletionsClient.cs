using System.Buffers;
using System.Net.Http.Json;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Services.Calls;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Hosting.Services.Clients;

/// <summary>The orchestrator in another process.</summary>
internal sealed class AgentCompletionsClient(ServiceClients clients) : IAgentCompletions
{
    private const int MaxAgentLength = 200;
    private static readonly TimeSpan ListTimeLimit = TimeSpan.FromSeconds(20);

    private readonly ServiceClient _client = clients.For(ServiceTopology.Orchestrator);

    public async ValueTask<IAgentCompletion> CompleteAsync(AgentCompletionRequest request, CancellationToken cancellationToken)
    {
        // Longer than any name and its version; a header would not hold it.
        if (request.Agent.Length > MaxAgentLength) return RemoteCompletion.Error(404, ErrorCodes.ModelNotFound, $"The agent '{request.Agent[..MaxAgentLength]}…' does not exist.", null, "model");
        List<KeyValuePair<string, string>> headers =
        [
            new("X-Request-Id", request.RequestId),
            new(AgentCompletionsEndpoints.AgentHeader, Uri.EscapeDataString(request.Agent)),
        ];
        if (request.IdempotencyKey is { } key) headers.Add(new("Idempotency-Key", key));
        if (request.JourneyId is { } journey) headers.Add(new(AgentCompletionsEndpoints.JourneyHeader, Uri.EscapeDataString(journey)));
        try
        {
            HttpResponseMessage response = await _client.SendAsync(new ServiceRequest(HttpMethod.Post, request.Stream ? "/internal/v1/completions?stream=true" : "/internal/v1/completions")
            {
                Caller = request.Caller,
                Content = () => new ReadOnlyMemoryContent(request.Body),
                // With a key the orchestrator finds the run that an attempt before has begun.
                Idempotent = request.IdempotencyKey is not null,
                Headers = headers,
            }, cancellationToken);
            return await ReadAsync(response, request.Stream, cancellationToken);
        }
        catch (ApiException e)
        {
            return RemoteCompletion.Error(e.Status, e.Code, e.Message, e.RetryAfter);
        }
    }

    public async ValueTask<IReadOnlyList<AgentSummary>> ListAsync(Caller caller, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await _client.SendAsync(
            new ServiceRequest(HttpMethod.Get, "/internal/v1/agents") { Caller = caller, Idempotent = true, TimeLimit = ListTimeLimit }, cancellationToken);
        if (!response.IsSuccessStatusCode) throw Refused(response);
        try
        {
            return (await response.Content.ReadFromJsonAsync(ServiceJson.Default.IReadOnlyListAgentSummary, cancellationToken))!;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            throw BrokenOff();
        }
    }

    private async ValueTask<IAgentCompletion> ReadAsync(HttpResponseMessage response, bool stream, CancellationToken cancellationToken)
    {
        bool keep = false;
        try
        {
            // Without the mark it is not the orchestrator's own answer but a layer's before it.
            if (!response.Headers.TryGetValues(AgentCompletionsEndpoints.RunHeader, out IEnumerable<string>? run)) throw Refused(response);
            string? runId = run.First() is var id && id == AgentCompletionsEndpoints.NoRun ? null : id;
            int? retryAfter = response.Headers.RetryAfter?.Delta is { } after ? (int)after.TotalSeconds : null;
            int status = (int)response.StatusCode;
            if (stream && status == 200)
            {
                keep = true;
                return new RemoteStream(response, runId);
            }
            byte[] body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            return new RemoteCompletion(status, runId, body, retryAfter);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw BrokenOff();
        }
        finally
        {
            if (!keep) response.Dispose();
        }
    }

    private ApiException Refused(HttpResponseMessage response) => (int)response.StatusCode == 504
        ? new ApiException(504, ErrorCodes.RequestTimeout, $"The {_client.Name} took too long.")
        : new ApiException(503, ErrorCodes.ServiceUnavailable, $"The {_client.Name} answered {(int)response.StatusCode}. Try again.") { RetryAfter = TimeSpan.FromSeconds(1) };

    private ApiException BrokenOff() => new(503, ErrorCodes.ServiceUnavailable, $"The {_client.Name} broke off its answer. Try again.") { RetryAfter = TimeSpan.FromSeconds(1) };
}
