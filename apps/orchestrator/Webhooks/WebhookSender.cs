using System.Globalization;
using System.Net.Http.Headers;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Outbound;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>What a receiver answered.</summary>
/// <param name="Status">Null when there was no answer.</param>
/// <param name="Error">A short code when there was none.</param>
/// <param name="RetryAfter">What it asked for.</param>
internal readonly record struct WebhookAnswer(int? Status, string? Error, TimeSpan? RetryAfter);

/// <summary>Makes one attempt: signed, behind the SSRF guard, within its time. Redirects are not followed, and what is answered is not read.</summary>
internal sealed class WebhookSender : IDisposable
{
    private readonly HttpMessageInvoker _client;
    private readonly TimeSpan _timeout;
    private readonly WebhookSecrets _secrets;
    private readonly TimeProvider _time;

    public WebhookSender(IOptions<WebhookOptions> options, WebhookSecrets secrets, TimeProvider time)
    {
        _timeout = TimeSpan.FromSeconds(options.Value.TimeoutSeconds);
        _secrets = secrets;
        _time = time;
        _client = new HttpMessageInvoker(SsrfGuard.CreateHandler(options.Value.AllowPrivateNetworks, TimeSpan.FromSeconds(10)));
    }

    public async Task<WebhookAnswer> SendAsync(WebhookEndpoint endpoint, WebhookDelivery delivery, CancellationToken cancellationToken)
    {
        DateTimeOffset now = _time.GetUtcNow();
        using var timeout = new CancellationTokenSource(_timeout, _time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint.Url) { Content = new ByteArrayContent(delivery.Payload) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation("User-Agent", "maap-webhooks");
        request.Headers.TryAddWithoutValidation("webhook-id", delivery.Id);
        request.Headers.TryAddWithoutValidation("webhook-timestamp", now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation("webhook-signature", WebhookSecrets.Sign(_secrets.Read(endpoint, now), delivery.Id, now, delivery.Payload));
        try
        {
            using HttpResponseMessage response = await _client.SendAsync(request, limit.Token);
            return new WebhookAnswer((int)response.StatusCode, null, RetryAfter(response, now));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new WebhookAnswer(null, "timeout", null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            // Texts of inner errors name addresses, which are nobody's business.
            return new WebhookAnswer(null, Refused(e) ? "address_refused" : "unreachable", null);
        }
    }

    public void Dispose() => _client.Dispose();

    private static TimeSpan? RetryAfter(HttpResponseMessage response, DateTimeOffset now) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } when date > now => date - now,
        _ => null,
    };

    private static bool Refused(Exception? e) => e is not null && (e is OutboundRefusedException || Refused(e.InnerException));
}
