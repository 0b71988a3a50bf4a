using System.Buffers;
using System.IO.Pipelines;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>Speaks to Anthropic's Messages API.</summary>
internal sealed class AnthropicProvider(IUpstreamTransport transport, TimeProvider time) : IModelProvider
{
    private const string DefaultVersion = "2023-06-01";
    private const int MaxAnswerBytes = 32 * 1024 * 1024;
    private const int MaxErrorBytes = 64 * 1024;

    public string Type => ProviderTypes.Anthropic;

    public async ValueTask<ProviderResponse> SendAsync(ProviderCall call, CancellationToken cancellationToken)
    {
        if (call.Operation != ModelOperation.Chat)
            return OpenAiError.Invalid("This model does not make embeddings.", "model", "unsupported_operation").ToResponse();
        AnthropicRequest request;
        try
        {
            request = AnthropicRequest.Translate(call.Body, call.Deployment, call.Stream);
        }
        catch (RequestRejectedException e)
        {
            return e.Error.ToResponse();
        }

        UpstreamResponse upstream = await transport.SendAsync(Target(call.Deployment), new RequestBody(request.Body), call.Deployment.Timeouts.Attempt, cancellationToken);
        // From here on the stream response owns the upstream, or we dispose it.
        if (upstream.StatusCode == 200 && call.Stream && IsEventStream(upstream))
            return await AnthropicStreamResponse.OpenAsync(upstream, request.StructuredTool, call.Envelope.IncludeUsage, Now(), cancellationToken);
        await using (upstream)
        {
            if (upstream.StatusCode != 200)
            {
                byte[] error = await ReadAsync(upstream.Body, MaxErrorBytes, throwIfLonger: false, cancellationToken);
                return AnthropicErrors.Translate(upstream.StatusCode, error).ToResponse(RetryAfterHeader.Read(upstream, time));
            }
            if (call.Stream) throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider answered a stream request without a stream.");
            byte[] answer = await ReadAsync(upstream.Body, MaxAnswerBytes, throwIfLonger: true, cancellationToken);
            try
            {
                (byte[] body, TokenUsage usage) = AnthropicAnswer.Translate(answer, request.StructuredTool, Now());
                return new CannedResponse(200, body, usage: usage);
            }
            catch (InvalidDataException e)
            {
                throw new UpstreamException(UpstreamFailure.InvalidResponse, e.Message, e);
            }
        }
    }

    private long Now() => time.GetUtcNow().ToUnixTimeSeconds();

    private static bool IsEventStream(UpstreamResponse upstream) =>
        upstream.Header("content-type")?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>Two requests at once may both make the target; either will do.</summary>
    private static UpstreamTarget Target(Deployment deployment)
    {
        if (deployment.ProviderState is UpstreamTarget target) return target;
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase) { ["anthropic-version"] = deployment.ApiVersion ?? DefaultVersion };
        if (deployment.ApiKey is not null) headers["x-api-key"] = deployment.ApiKey;
        foreach ((string name, string value) in deployment.Headers) headers[name] = value;
        string url = deployment.BaseUrl!.AbsoluteUri.TrimEnd('/');
        target = new UpstreamTarget(new Uri(url + (url.EndsWith("/v1", StringComparison.Ordinal) ? "/messages" : "/v1/messages")), headers);
        deployment.ProviderState = target;
        return target;
    }

    private static async ValueTask<byte[]> ReadAsync(PipeReader body, int limit, bool throwIfLonger, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult read = await body.ReadAsync(cancellationToken);
            if (read.Buffer.Length > limit && throwIfLonger) throw new UpstreamException(UpstreamFailure.InvalidResponse, "The provider's answer is too large.");
            if (read.IsCompleted || read.Buffer.Length > limit)
            {
                byte[] bytes = read.Buffer.Slice(0, Math.Min(limit, read.Buffer.Length)).ToArray();
                body.AdvanceTo(read.Buffer.End);
                return bytes;
            }
            body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
}
