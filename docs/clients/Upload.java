// java Upload.java http://127.0.0.1:8080 photo.jpg: an upload by java.net.http (Java 17 or later).
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;

public class Upload {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/images"))
                .header("X-Request-Timeout-Ms", "2000")
                .timeout(Duration.ofSeconds(10))
                .POST(HttpRequest.BodyPublishers.ofFile(Path.of(arguments[1])));
        var key = System.getenv("TUREEN_KEY");
        if (key != null) {
            request.header("Authorization", "Bearer " + key);
        }

        // HTTP/1.1 is what the server speaks; the client would offer HTTP/2 first.
        var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        HttpResponse<String> reply = null;
        for (int attempt = 0; attempt < 4; attempt++) {
            reply = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            if (reply.statusCode() != 503 && reply.statusCode() != 429) {
                break;
            }
            Thread.sleep(1000 * reply.headers().firstValueAsLong("Retry-After").orElse(1));
        }
        System.out.println(reply.body());
        System.exit(reply.statusCode() == 200 ? 0 : 1);
    }
}
