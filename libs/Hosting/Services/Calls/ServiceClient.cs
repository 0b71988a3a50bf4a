using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Services.Tls;
using MultiAgent.Hosting.Services.Tokens;
using Polly.CircuitBreaker;

namespace MultiAgent.Hosting.Services.Calls;

/// <summary>One call of another service.</summary>
internal sealed record ServiceRequest(HttpMethod Method, string Path)
{
    /// <summary>On whose behalf.</summary>
    public Caller? Caller { get; init; }

    /// <summary>Makes the body, anew for each attempt.</summary>
    public Func<HttpContent>? Content { get; init; }

    /// <summary>True when doing it twice does no harm.</summary>
    public bool Idempotent { get; init; }

    /// <summary>How long the caller waits in all; the service hears of it and stops by itself. Null: until the caller leaves.</summary>
    public TimeSpan? TimeLimit { get; init; }

    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];
}

/// <summary>
/// Calls one service over HTTP at any of its addresses. What did not reach the service is tried again at the next address; what may have reached it only
/// where that does no harm.
/// </summary>
internal sealed partial class ServiceClient : IDisposable
{
    // A service with one replica is back within this time after a restart.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    private readonly HttpMessageInvoker _http;
    private readonly RemoteService _service;
    private readonly ServiceTokens _tokens;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    public ServiceClient(RemoteService service, ServiceTokens tokens, ServiceTls tls, TimeProvider time, ILogger<ServiceClient> logger)
    {
        (_service, _tokens, _time, _logger) = (service, tokens, time, logger);
        Addresses = new ServiceAddresses(service, time);
        var handler = new SocketsHttpHandler();
        ServiceHttp.Configure(handler, tls);
        _http = new HttpMessageInvoker(handler);
    }

    public string Name => _service.Name;

    public ServiceAddresses Addresses { get; }

    /// <summary>Sends until there is an answer; its body may still be on the way.</summary>
    /// <exception cref="ApiException">503: the service cannot be reached; 504: it took longer than the time limit.</exception>
    /// <exception cref="OperationCanceledException">The caller left.</exception>
    public async Task<HttpResponseMessage> SendAsync(ServiceRequest request, CancellationToken cancellationToken)
    {
        long started = _time.GetTimestamp();
        using CancellationTokenSource? timer = request.TimeLimit is { } limit ? new CancellationTokenSource(limit, _time) : null;
        using CancellationTokenSource? linked = timer is null ? null : CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        CancellationToken token = linked?.Token ?? cancellationToken;
        var tried = new List<ServiceAddress>();
        TimeSpan pause = FirstPause;
        try
        {
            while (true)
            {
                if (Addresses.Next(tried) is not { } address)
                {
                    if (_time.GetElapsedTime(started) > Patience) throw Unavailable();
                    await Task.Delay(pause, _time, token);
                    pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
                    tried.Clear();
                    continue;
                }
                tried.Add(address);
                if (await TryAsync(address, request, started, token) is { } response) return response;
            }
        }
        catch (OperationCanceledException) when (timer is { IsCancellationRequested: true } && !cancellationToken.IsCancellationRequested)
        {
            throw new ApiException(504, ErrorCodes.RequestTimeout, $"The {Name} took longer than {request.TimeLimit!.Value.TotalSeconds:0.#} s.");
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>One attempt; null when another may be made.</summary>
    private async Task<HttpResponseMessage?> TryAsync(ServiceAddress address, ServiceRequest request, long started, CancellationToken token)
    {
        try
        {
            // The breaker is told of the outcome; cancelling goes past it.
            HttpResponseMessage response = await address.Breaker.ExecuteAsync(static async (state, cancel) =>
            {
                HttpRequestMessage message = state.Client.Message(state.Address, state.Request, state.Started);
                return await state.Client._http.SendAsync(message, cancel);
            }, (Client: this, Address: address, Request: request, Started: started), token);
            // Draining, or not up yet: the service says that it did nothing.
            if (response.StatusCode != HttpStatusCode.ServiceUnavailable || !response.Headers.Contains(NotAccepted)) return response;
            response.Dispose();
            return null;
        }
        catch (BrokenCircuitException)
        {
            return null;
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            // The connection took too long: nothing was sent.
            LogFailed(Name, address.Url, "no connection in time");
            return null;
        }
        catch (HttpRequestException e) when (request.Idempotent || NeverSent(e))
        {
            LogFailed(Name, address.Url, e.Message);
            return null;
        }
        catch (HttpRequestException e)
        {
            LogFailed(Name, address.Url, e.Message);
            throw Unavailable();
        }
    }

    /// <summary>Header of a 503 after which the request may be made elsewhere.</summary>
    public const string NotAccepted = "Maap-Not-Accepted";

    private static bool NeverSent(HttpRequestException e) =>
        e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError;

    private HttpRequestMessage Message(ServiceAddress address, ServiceRequest request, long started)
    {
        var message = new HttpRequestMessage(request.Method, new Uri(address.Url, request.Path)) { Content = request.Content?.Invoke() };
        message.Headers.TryAddWithoutValidation(ServiceTokens.Header, _tokens.Issue(Name, request.Caller));
        foreach ((string name, string value) in request.Headers) message.Headers.TryAddWithoutValidation(name, value);
        if (request.TimeLimit is { } limit)
        {
            double left = Math.Max(1, (limit - _time.GetElapsedTime(started)).TotalMilliseconds);
            message.Headers.TryAddWithoutValidation(ServiceHttp.TimeLimitHeader, left.ToString("0", CultureInfo.InvariantCulture));
        }
        return message;
    }

    private ApiException Unavailable() =>
        new(503, ErrorCodes.ServiceUnavailable, $"The {Name} cannot be reached at the moment. Try again.") { RetryAfter = TimeSpan.FromSeconds(1) };

    [LoggerMessage(EventId = 1, EventName = "ServiceCallFailed", Level = LogLevel.Warning, Message = "{Service} at {Url} did not answer: {Why}")]
    private partial void LogFailed(string service, Uri url, string why);
}
